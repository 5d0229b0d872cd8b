/** The path of the runbook beside the page. In a file of its own, because the page would else hold what makes the runbook. */
export const RUNBOOK_PATH = '/runbook';
