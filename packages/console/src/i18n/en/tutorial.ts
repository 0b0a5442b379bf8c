/** How to reach an environment with VS Code, step by step. */
export const tutorial = {
  title: 'VS Code in an environment',
  what: 'Five minutes, once. Afterwards the environment is one click away. The pictures show this environment.',
  back: 'Back to the environment',
  picture: 'Picture: {{what}}',
  install: 'Install Remote-SSH',
  installWhat:
    'In VS Code open the extensions, look for “Remote - SSH” by Microsoft, and install it. On the command line:',
  copy: 'Copy the block',
  copyWhat:
    'On the page of the environment, under “VS Code and JetBrains”, press the button at the right of this block:',
  paste: 'Put it into your SSH configuration',
  pasteWhat:
    'In VS Code press F1, choose “Remote-SSH: Open SSH Configuration File…”, take the first file, paste the block at its end, and save.',
  connect: 'Connect',
  connectWhat: 'Press F1 again, choose “Remote-SSH: Connect to Host…”, and take this name from the list:',
  trust: 'Compare the fingerprint',
  trustWhat:
    'The first time VS Code asks whether it is the right machine. Continue when the fingerprint is this one:',
  password: 'Give the password',
  passwordWhat:
    'VS Code asks for it at the top of its window. Copy it here; with an SSH key of yours in Berth it is not asked for.',
  work: 'Open your folder',
  workWhat:
    'Choose “Open Folder…” and take /gemini/code: what is in it stays when the environment is stopped.',
  fails: 'If it does not work',
  failsWhat:
    'The page of the environment says what state it is in, whether your address is locked out, and its log shows what sshd saw.',
} as const;
