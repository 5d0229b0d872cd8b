/** The path of the runbook beside the page. */
export const RUNBOOK_PATH = '/runbook';

/**
 * Makes a page of a Markdown document: each heading with the name by which links reach it, the rest as it was written. Problems link
 * to it, so an operator needs neither the repository nor another host.
 */
export function runbookPage(markdown: string): string {
  const parts = markdown.split(/^(#{1,6} .+)$/m).map((part) => {
    const [, marks, title] = /^(#{1,6}) (.+)$/.exec(part) ?? [];
    if (marks !== undefined && title !== undefined) {
      // A reader by headings misses a level that is left out, and this document leaves one out.
      const level = marks.length === 1 ? 'h1' : 'h2';
      return `<${level} id="${anchorOf(title)}">${escaped(title)}</${level}>`;
    }
    const text = part.trim();
    return text === '' ? '' : `<pre>${escaped(text)}</pre>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Runbook</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
</head>
<body>
<main class="runbook">
${parts.join('\n')}
</main>
</body>
</html>
`;
}

/** The name of a heading in links: as forges make it of words. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
