/** `berth completion`: commands, options and names at a press of Tab. */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { printable } from '../text.ts';

const scripts = {
  bash: `# Completion of berth for bash. For all sessions: berth completion bash > ~/.local/share/bash-completion/completions/berth
_berth() {
  local IFS=$'\\n'
  COMPREPLY=($(berth __complete bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o bashdefault -o default -F _berth berth`,
  zsh: `#compdef berth
# Completion of berth for zsh. For all sessions: berth completion zsh > a file called _berth in a folder of $fpath
_berth() {
  local -a candidates
  candidates=("\${(@f)$(berth __complete zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$candidates" ]]; then _describe berth candidates; else _files; fi
}
if [[ "$funcstack[1]" == _berth ]]; then _berth "$@"; else compdef _berth berth; fi`,
  fish: `# Completion of berth for fish. For all sessions: berth completion fish > ~/.config/fish/completions/berth.fish
function __berth_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found (berth __complete fish -- $words[2..] 2>/dev/null)
  if test -n "$found"
    printf '%s\\n' $found
  else
    __fish_complete_path $words[-1]
  end
end
complete -c berth -f -a '(__berth_complete)'`,
};
type Shell = keyof typeof scripts;
const shells = Object.keys(scripts) as Shell[];

export function addCompletionCommands(program: Command): void {
  program
    .command('completion')
    .description('Show the script that completes commands, options and names in a shell')
    .addArgument(new Argument('<shell>', 'which').choices(shells))
    .addHelpText(
      'after',
      '\nFor this session:\n  bash, zsh: source <(berth completion bash)\n  fish:      berth completion fish | source',
    )
    .action((shell: Shell) => {
      process.stdout.write(`${scripts[shell]}\n`);
    });

  // The scripts run this.
  program
    .command('__complete', { hidden: true })
    .argument('<shell>')
    .argument('[words...]')
    .action((shell: Shell, words: string[]) => complete(program, shell, words));
}

/** One candidate a line; zsh and fish show what each is about. */
async function complete(program: Command, shell: Shell, words: string[]): Promise<void> {
  try {
    const { candidatesFor } = await import('../completion.ts');
    const candidates = await candidatesFor(program, words);
    const lines = candidates.map(({ word, about }) => {
      if (shell === 'bash' || about.trim() === '') return word;
      return shell === 'zsh'
        ? `${word.replaceAll(':', '\\:')}:${printable(about)}`
        : `${word}\t${printable(about)}`;
    });
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  } catch {
    // Nobody who presses Tab wants to read why there is nothing.
  }
}
