/** All commands, composed. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addAccountCommands } from './commands/accounts.ts';
import { addAllowlistCommands } from './commands/allowlist.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addAuthorityCommands } from './commands/authorities.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addCompletionCommands } from './commands/completion.ts';
import { addConnectionCommands } from './commands/connections.ts';
import { addConfigSshCommand } from './commands/config-ssh.ts';
import { addCustomerCommands } from './commands/customers.ts';
import { addDatasetCommands } from './commands/datasets.ts';
import { addDoctorCommands } from './commands/doctor.ts';
import { addEnvironmentCommands } from './commands/environments.ts';
import { addGatewayCommand } from './commands/gateway.ts';
import { addFirewallCommands } from './commands/firewall.ts';
import { addImageCommands } from './commands/images.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addLockoutCommands } from './commands/lockouts.ts';
import { addLoginCommands } from './commands/login.ts';
import { addOpenCommand } from './commands/open.ts';
import { addPlatformCommands } from './commands/platform.ts';
import { addPortCommands } from './commands/ports.ts';
import { addQuotaCommands } from './commands/quotas.ts';
import { addSshCommands } from './commands/ssh.ts';
import { addStorageCommands } from './commands/storage.ts';
import { addTimelineCommands } from './commands/timeline.ts';
import { addTokenCommands } from './commands/tokens.ts';
import { addUpCommand } from './commands/up.ts';
import { exitCodesHelp } from './failure.ts';
import { named, withCommonOptions } from './session.ts';

export function makeProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('berth')
    .description('A public SSH address for every development environment.')
    .version(version)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', `\n${exitCodesHelp}`);
  withCommonOptions(program, named);

  program.commandsGroup('On the machine where Berth runs:');
  addUpCommand(program);
  addGatewayCommand(program);
  addPlatformCommands(program);
  addDoctorCommands(program);
  addBackupCommands(program);
  addFirewallCommands(program);
  program.commandsGroup('Which Berth is asked:');
  addLoginCommands(program);
  program.commandsGroup('Environments:');
  addEnvironmentCommands(program);
  addTimelineCommands(program);
  addStorageCommands(program);
  program.commandsGroup('Ways in:');
  addSshCommands(program);
  addConfigSshCommand(program);
  addOpenCommand(program);
  addKeyCommands(program);
  addAuthorityCommands(program);
  addPortCommands(program);
  addConnectionCommands(program);
  addAllowlistCommands(program);
  addLockoutCommands(program);
  program.commandsGroup('Administration:');
  addCustomerCommands(program);
  addAccountCommands(program);
  addTokenCommands(program);
  addQuotaCommands(program);
  addImageCommands(program);
  addDatasetCommands(program);
  addAuditCommands(program);
  program.commandsGroup('This command:');
  addCompletionCommands(program);
  nameInFailures(program, 'berth');
  return program;
}

/** So that a failure can say whose help to read. */
function nameInFailures(command: Command, path: string): void {
  command.exitOverride((error) => {
    throw Object.assign(error, { commandPath: path });
  });
  for (const each of command.commands) nameInFailures(each, `${path} ${each.name()}`);
}
