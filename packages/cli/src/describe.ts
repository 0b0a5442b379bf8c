/** The reference of the whole command as Markdown, made from what its help shows. */
import type { EventEmitter } from 'node:events';
import type { Command } from 'commander';
import { makeProgram } from './program.ts';

const intro = `# The command

Every command that shows data takes \`-o table|json|yaml|name\`: \`json\` and \`yaml\` are the API's own documents,
\`name\` is what other commands take. An answer goes to stdout, everything else to stderr. There are colours on a terminal
only, and none with \`NO_COLOR\`. The options of \`berth\` itself that say which Berth is asked and how the answer is written
stand at every command that can use them.

This file is made from the command's own description. Each command also shows its part with \`--help\`.

`;

/** What docs/command.md holds. */
export function commandReference(): string {
  const program = makeProgram();
  return `${intro}${contents(program)}\n## berth\n\n${bodyOf(program, program)}${sections(program, program)}`;
}

function contents(program: Command): string {
  const groups = new Map<string, string[]>();
  for (const command of visible(program)) {
    const line = `[${command.name()}](#${anchor(command)})`;
    const group = command.helpGroup() || 'Others:';
    groups.set(group, [...(groups.get(group) ?? []), line]);
  }
  return [...groups].map(([group, lines]) => `- ${group} ${lines.join(', ')}\n`).join('');
}

function visible(command: Command): Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help');
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function anchor(command: Command): string {
  return pathOf(command).replaceAll(' ', '-');
}

function sections(command: Command, program: Command): string {
  return visible(command)
    .map((each) => `\n## ${pathOf(each)}\n\n${bodyOf(each, program)}${sections(each, program)}`)
    .join('');
}

/** @param program whose own options are not said again */
function bodyOf(command: Command, program: Command): string {
  const help = command.createHelp();
  const usage = `${pathOf(command)} ${command.usage()}`.trimEnd();
  const args = help
    .visibleArguments(command)
    .map((each): [string, string] => [help.argumentTerm(each), help.argumentDescription(each)]);
  const common = command.parent === null ? [] : program.options.map(({ flags }) => flags);
  const options = help
    .visibleOptions(command)
    .filter(({ flags }) => flags.startsWith('-o,') || !(common.includes(flags) || flags === '-h, --help'))
    .map((each): [string, string] => [help.optionTerm(each), help.optionDescription(each)]);
  const children = visible(command);
  const isRoot = command.parent === null;
  return [
    `${command.description()}\n`,
    `\`\`\`\n${usage}\n\`\`\`\n`,
    ...(isRoot || children.length === 0 ? [] : [children.map(childLine).join('')]),
    ...(args.length === 0 ? [] : [`Arguments:\n\n${listOf(args)}`]),
    ...(options.length === 0 ? [] : [`Options:\n\n${listOf(options)}`]),
    ...afterTextOf(command),
  ].join('\n');
}

function childLine(command: Command): string {
  return `- [${command.name()}](#${anchor(command)}): ${escaped(command.description())}\n`;
}

function listOf(rows: [string, string][]): string {
  return rows.map(([term, text]) => `- \`${term}\`: ${escaped(text)}\n`).join('');
}

/** What would be read as markup stands as itself. */
function escaped(text: string): string {
  return text.replaceAll(/[\\<*`]/g, '\\$&');
}

/** What addHelpText put below the help; commander hands it out through its event only. */
function afterTextOf(command: Command): string[] {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  (command as unknown as EventEmitter).emit('afterHelp', { error: false, command, write });
  return text.trim() === '' ? [] : [`\`\`\`\n${text.trim()}\n\`\`\`\n`];
}
