# Starts the environment's JupyterLab where it does not run, and says where it listens. For every POSIX shell; start.ts
# sends it to `/bin/sh -s BASE_URL IDLE_MINUTES CONFIGURATION`, so nothing of it is a file of the image. Answers with one
# line that begins with `berth-jupyter`: `ready SOCKET TOKEN`, `missing`, or `failed WHY`.

base_url=$1 idle_minutes=$2 configuration=$3
say() { printf 'berth-jupyter %s\n' "$*"; exit 0; }

umask 077
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
folder=${TMPDIR:-/tmp}/berth-jupyter-$(id -u)
mkdir -p "$folder" 2> /dev/null
# Whoever made it before could read the token.
[ -d "$folder" ] && [ ! -L "$folder" ] && [ -O "$folder" ] && chmod 700 "$folder" || say "failed $folder is not this user's own folder"
cd "$folder" || say "failed $folder cannot be entered"

# Several may ask at the same time; without flock the later one finds the socket taken and ends.
exec 9> lock
command -v flock > /dev/null && flock -w 60 9

started=
# Whether it is another program that has its number now is asked of one that was there before: while a process becomes
# another program it has no command line for a moment.
alive() {
  pid=$(cat pid 2> /dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null || return 1
  ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$pid/status" 2> /dev/null || return 1
  [ -n "$started" ] || grep -qa jupyter "/proc/$pid/cmdline"
}

# The socket's name is there before anybody listens, and may be left by one that does no more (proc(5), SO_ACCEPTCON).
listens() { [ -S socket ] && { [ ! -r /proc/net/unix ] || grep -q " 00010000 .* $folder/socket\$" /proc/net/unix; }; }

start() {
  started=yes
  # As in a session of the user's own: what they install and set in their profile is there.
  login_shell=/bin/sh
  [ -x /bin/bash ] && login_shell=/bin/bash
  program=$("$login_shell" -l -c 'command -v jupyter-lab' 2> /dev/null < /dev/null | tail -n 1)
  [ -x "$program" ] || say missing

  rm -f socket
  # It stays while the container does: others may be using one that was there before.
  [ -s token ] || head -c 32 /dev/urandom | od -A n -t x1 | tr -d ' \n' > token
  printf '%s\n' "$configuration" > configuration.py
  unset BERTH_CLIENT SSH_CLIENT SSH_CONNECTION SSH_ORIGINAL_COMMAND
  BERTH_JUPYTER_FOLDER=$folder BERTH_JUPYTER_IDLE_MINUTES=$idle_minutes
  # With a configuration that is left out it would listen for everybody.
  TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR=1
  export BERTH_JUPYTER_FOLDER BERTH_JUPYTER_IDLE_MINUTES TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR
  detach=nohup
  command -v setsid > /dev/null && detach='nohup setsid'
  (
    # A kernel that belongs to no notebook begins there.
    cd /gemini/code 2> /dev/null || cd
    exec $detach "$login_shell" -l -c 'exec "$0" "$@"' "$program" --config="$folder/configuration.py" \
      --ServerApp.sock="$folder/socket" --ServerApp.base_url="$base_url"
  ) > log 2>&1 < /dev/null 9>&- &
  echo $! > pid
}

# Its own start takes a second or two; a busy machine, or a first start with cold files, much longer.
alive || start
tries=0
until listens; do
  if ! alive; then
    # One that was about to end just now is replaced.
    [ -z "$started" ] || say "failed $(tail -n 5 log | tr -s '[:space:][:cntrl:]' ' ' | tail -c 1000)"
    start
  fi
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || say 'failed it did not listen within 60 s'
  sleep 0.1
done
say "ready $folder/socket $(cat token)"
