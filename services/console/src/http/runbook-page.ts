import { Marked } from 'marked';

const marked = new Marked({
  renderer: {
    heading({ depth, text, tokens }) {
      // A reader by headings misses a level that is left out, and this document leaves one out.
      const level = depth === 1 ? 'h1' : 'h2';
      return `<${level} id="${anchorOf(text)}">${this.parser.parseInline(tokens)}</${level}>\n`;
    },
    // The console serves none of the other documents.
    link({ href, tokens }) {
      const text = this.parser.parseInline(tokens);
      return href.startsWith('#') ? `<a href="${escaped(href)}">${text}</a>` : text;
    },
    html: ({ text }) => escaped(text),
  },
});

/**
 * Makes a page of a Markdown document, in which links reach each heading by its name. Problems link to it, so an operator needs
 * neither the repository nor another host. Markup in the document is shown as it is written.
 */
export function runbookPage(markdown: string): string {
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
${marked.parse(markdown, { async: false })}</main>
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
