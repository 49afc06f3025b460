/** Writes the complete commented default configuration from the schema. */
import { stringify } from 'yaml';
import { describeExpected, isSection, type KeyNode, keyTree } from './key-tree.ts';

const COMMENT_WIDTH = 100;

/** The default configuration as YAML, each key under a comment with its meaning, values, unit and default. */
export function defaultConfigText(): string {
  const root = keyTree();
  return `${comment(root.description ?? '', '')}\n${writeSection(root, '')}`;
}

function writeSection(section: KeyNode, indent: string): string {
  return Object.entries(section.properties ?? {})
    .map(([name, node]) => writeKey(name, node, indent))
    .join(indent === '' ? '\n' : '');
}

function writeKey(name: string, node: KeyNode, indent: string): string {
  if (isSection(node)) {
    return `${comment(node.description ?? '', indent)}${indent}${name}:\n${writeSection(node, `${indent}  `)}`;
  }
  const unit = node.unit === undefined || node.unit === 'none' ? '' : ` Unit: ${node.unit}.`;
  const about = `${node.description}${unit} Expected: ${describeExpected(node)}.`;
  const value = stringify(node.default, { lineWidth: 0 }).trim();
  return `${comment(about, indent)}${indent}${name}: ${value}\n`;
}

/** The text as comment lines of a bounded width. */
function comment(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > COMMENT_WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((each) => `${indent}# ${each}\n`).join('');
}
