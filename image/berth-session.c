/*
 * berth-session: a terminal that outlives its connection.
 *
 * Berth's server runs `berth-session attach ID` over SSH for each terminal in a browser. The first one for an ID leaves
 * a keeper behind: a process of the user that owns the pseudo-terminal and the login shell, and holds the last 4 MiB of
 * output. Whoever attaches says how many bytes of output it has and gets what follows, so that a connection that is cut
 * loses nothing and doubles nothing, in either direction. packages/server/src/workspace/terminal/keeper.ts is the other
 * end; README.md has the protocol.
 *
 * Keepers listen on abstract Unix sockets (unix(7)): no file that could be left over or deleted. Both ends look at the
 * other's user, since such a name is anybody's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum {
  protocol_version = 1,
  ring_bytes = 4 << 20,
  /* How far the program may be ahead of whoever it is held for. */
  lead_bytes = 1 << 20,
  /* What an attacher may send beyond what the shell has taken. */
  input_bytes = 64 << 10,
  turn_bytes = 128 << 10,
  most_last_words = 256 << 10,
  chunk_bytes = 32 << 10,
  frame_head_bytes = 5,
  most_sessions = 32,
  most_attachers = 16,
  most_ghosts = 16,
  most_writers = 64,
  most_modes = 32,
  most_parameters = 16,
  /* Whoever does not say what it wants, and whoever takes nothing any more. */
  greeting_ms = 5000,
  stalled_ms = 10000,
  /* How long the program is held for an attacher that was cut off, which mostly comes back. */
  ghost_ms = 15000,
  tick_ms = 500,
  nudge_ms = 100,
  hang_up_ms = 3000,
  /* How long a session that has ended waits for somebody to see its end. */
  linger_ms = 10 * 60 * 1000,
};

static const char marker[] = "\0berth-session 1\n";

/* ---- Small things ------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void put_number(uint8_t *to, uint64_t value, int bytes) {
  for (int index = bytes - 1; index >= 0; index--, value >>= 8) to[index] = (uint8_t)value;
}

static uint64_t get_number(const uint8_t *from, int bytes) {
  uint64_t value = 0;
  for (int index = 0; index < bytes; index++) value = value << 8 | from[index];
  return value;
}

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static bool write_all(int fd, const void *data, size_t length) {
  const char *at = data;
  while (length > 0) {
    ssize_t written = write(fd, at, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      struct pollfd waiting = {.fd = fd, .events = POLLOUT};
      poll(&waiting, 1, -1);
      continue;
    }
    if (written <= 0) return false;
    at += written;
    length -= (size_t)written;
  }
  return true;
}

static void set_blocking(int fd, bool blocking) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static bool is_session_id(const char *text) {
  size_t length = strlen(text);
  return length >= 8 && length <= 32 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == length;
}

/* `berth-session/1000/`, which every session of the user begins with. */
static int name_prefix(char *into, size_t size) {
  return snprintf(into, size, "berth-session/%u/", (unsigned)getuid());
}

static socklen_t address_of(struct sockaddr_un *address, const char *session) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  int length = name_prefix(address->sun_path + 1, sizeof address->sun_path - 1);
  length += snprintf(address->sun_path + 1 + length, sizeof address->sun_path - 1 - (size_t)length, "%s", session);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static bool is_own(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == getuid();
}

/* Returns the socket, or -1 when there is no such session. */
static int connect_to(const char *session) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address;
  socklen_t size = address_of(&address, session);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0 && is_own(fd)) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

/* Calls `visit` with the id of each session of this user. Returns how many there are. */
static int each_session(void (*visit)(const char *session)) {
  char prefix[64], line[512];
  int prefix_length = name_prefix(prefix, sizeof prefix), count = 0;
  FILE *table = fopen("/proc/net/unix", "re");
  if (table == NULL) return 0;
  while (fgets(line, sizeof line, table) != NULL) {
    unsigned flags;
    int at = 0;
    /* Num RefCount Protocol Flags Type St Inode @name; the flag is that of a socket that listens. */
    if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s @%n", &flags, &at) != 1 || at == 0 || !(flags & 0x10000)) continue;
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line + at, prefix, (size_t)prefix_length) != 0) continue;
    const char *session = line + at + prefix_length;
    if (!is_session_id(session)) continue;
    count++;
    if (visit != NULL) visit(session);
  }
  fclose(table);
  return count;
}

/* ---- What output has left the ring: the modes that it switched ---------------------------------------------- */

/*
 * Enough of ECMA-48 to know where a control sequence ends, and the DEC private modes, such as the alternate screen, that
 * whoever begins in the middle must be told.
 */
struct tracker {
  enum { ground, escape, intermediate, control, string, string_escape } state;
  bool is_private, is_soft_reset;
  int parameters;
  unsigned parameter[most_parameters];
  int modes;
  struct {
    unsigned number;
    bool on;
  } mode[most_modes];
  bool keypad;
};

static void set_mode(struct tracker *tracker, unsigned number, bool on) {
  for (int index = 0; index < tracker->modes; index++) {
    if (tracker->mode[index].number != number) continue;
    tracker->mode[index].on = on;
    return;
  }
  if (tracker->modes == most_modes) return;
  tracker->mode[tracker->modes].number = number;
  tracker->mode[tracker->modes++].on = on;
}

static void track_byte(struct tracker *tracker, uint8_t byte) {
  switch (tracker->state) {
    case ground:
      if (byte == 0x1b) tracker->state = escape;
      return;
    case string:
      if (byte == 0x07 || byte == 0x18 || byte == 0x1a) tracker->state = ground;
      else if (byte == 0x1b) tracker->state = string_escape;
      return;
    case string_escape:
      if (byte == '\\') {
        tracker->state = ground;
        return;
      }
      __attribute__((fallthrough)); /* another sequence broke the string off */
    case escape:
      tracker->state = ground;
      if (byte == 0x1b) tracker->state = escape;
      else if (byte == '[') {
        tracker->state = control;
        tracker->is_private = tracker->is_soft_reset = false;
        tracker->parameters = 0;
        tracker->parameter[0] = 0;
      } else if (strchr("]P^_X", byte) != NULL && byte != 0) tracker->state = string;
      else if (byte >= 0x20 && byte <= 0x2f) tracker->state = intermediate;
      else if (byte == '=' || byte == '>') tracker->keypad = byte == '=';
      else if (byte == 'c') tracker->modes = 0, tracker->keypad = false;
      return;
    case intermediate:
      if (byte < 0x20 || byte > 0x2f) tracker->state = byte == 0x1b ? escape : ground;
      return;
    case control:
      if (byte == '?') tracker->is_private = true;
      else if (byte == '!') tracker->is_soft_reset = true;
      else if (byte >= '0' && byte <= '9') {
        unsigned *parameter = &tracker->parameter[tracker->parameters];
        *parameter = MIN(*parameter * 10 + (unsigned)(byte - '0'), 100000);
      } else if (byte == ';') {
        if (tracker->parameters < most_parameters - 1) tracker->parameters++;
        tracker->parameter[tracker->parameters] = 0;
      } else if (byte == 0x1b) tracker->state = escape;
      else if (byte >= 0x40 && byte <= 0x7e) {
        tracker->state = ground;
        if (tracker->is_private && (byte == 'h' || byte == 'l')) {
          for (int index = 0; index <= tracker->parameters; index++)
            set_mode(tracker, tracker->parameter[index], byte == 'h');
        } else if (tracker->is_soft_reset && byte == 'p') tracker->modes = 0, tracker->keypad = false;
      }
      return;
  }
}

static void track(struct tracker *tracker, const uint8_t *data, size_t length) {
  const uint8_t *end = data + length;
  while (data < end) {
    if (tracker->state == ground) {
      data = memchr(data, 0x1b, (size_t)(end - data));
      if (data == NULL) return;
    }
    track_byte(tracker, *data++);
  }
}

/* Writes the sequences that bring a terminal which was just reset into these modes. Returns their length. */
static size_t format_modes(const struct tracker *tracker, char *into, size_t size) {
  size_t length = 0;
  for (int index = 0; index < tracker->modes; index++)
    length += (size_t)snprintf(into + length, size - length, "\033[?%u%c", tracker->mode[index].number,
                               tracker->mode[index].on ? 'h' : 'l');
  if (tracker->keypad) length += (size_t)snprintf(into + length, size - length, "\033=");
  return length;
}

/* ---- The keeper --------------------------------------------------------------------------------------------- */

struct attacher {
  int fd;
  bool attached, holds, is_stalled, exit_told, welcome_due, taken_due, size_due;
  bool has_gap;
  int64_t since;    /* when it came, and then when it last said that it has taken output */
  uint64_t writer;  /* whose input it is; the same one after a cut */
  uint64_t sent;    /* offset of the output that was put into `out` */
  uint64_t acknowledged;
  uint64_t told;    /* of the writer's input */
  size_t in_length, out_at, out_length, input_at, input_length;
  uint8_t in[frame_head_bytes + input_bytes];
  uint8_t out[frame_head_bytes + chunk_bytes + 1024];
  uint8_t input[input_bytes];
};

/* The program is held for one that was cut off without a word, until it is back or its time is over. */
struct ghost {
  uint64_t writer, acknowledged;
  int64_t until;
};

struct writer {
  uint64_t id, taken;
  int64_t seen;
};

static struct {
  const char *session;
  time_t started;
  int listener, terminal;
  pid_t shell;
  struct winsize size;
  uint8_t *ring;
  uint64_t head, tail;
  struct tracker dropped;
  struct attacher *attachers[most_attachers];
  struct ghost ghosts[most_ghosts];
  struct writer writers[most_writers];
  bool reaped, hung_up, ended, over;
  int status;
  size_t last_words;
  int64_t ended_at, nudge_at, kill_at;
} keeper = {.listener = -1, .terminal = -1};

static volatile sig_atomic_t child_signal, end_signal;

static void on_signal(int number) {
  if (number == SIGCHLD) child_signal = 1;
  else end_signal = number;
}

static struct writer *writer_of(uint64_t id) {
  struct writer *oldest = &keeper.writers[0];
  for (int index = 0; index < most_writers; index++) {
    struct writer *writer = &keeper.writers[index];
    if (writer->id == id && writer->seen != 0) {
      writer->seen = now_ms();
      return writer;
    }
    if (writer->seen < oldest->seen) oldest = writer;
  }
  *oldest = (struct writer){.id = id, .seen = now_ms()};
  return oldest;
}

static void set_size(unsigned columns, unsigned rows, const struct attacher *by) {
  struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
  if (size.ws_col == 0 || size.ws_row == 0) return;
  if (size.ws_col == keeper.size.ws_col && size.ws_row == keeper.size.ws_row) return;
  keeper.size = size;
  keeper.nudge_at = 0;
  ioctl(keeper.terminal, TIOCSWINSZ, &size);
  for (int index = 0; index < most_attachers; index++) {
    struct attacher *other = keeper.attachers[index];
    if (other != NULL && other->attached && other != by) other->size_due = true;
  }
}

static void read_ring(uint64_t from, uint8_t *into, size_t length) {
  size_t at = (size_t)(from % ring_bytes), first = MIN(length, ring_bytes - at);
  memcpy(into, keeper.ring + at, first);
  memcpy(into + first, keeper.ring, length - first);
}

/* Makes room in the ring. */
static void drop_until(uint64_t offset) {
  while (keeper.tail < offset) {
    size_t at = (size_t)(keeper.tail % ring_bytes), length = (size_t)MIN(offset - keeper.tail, ring_bytes - at);
    track(&keeper.dropped, keeper.ring + at, length);
    keeper.tail += length;
  }
}

/*
 * Where somebody may begin who has lost track, and the modes there: after the end of a line, outside of any control
 * sequence. Within the ring's first 64 KiB, else as soon as no sequence or character would be torn.
 */
static uint64_t beginning(struct tracker *modes) {
  *modes = keeper.dropped;
  if (keeper.tail == 0) return 0;
  struct tracker tracker = keeper.dropped;
  uint64_t torn_before = keeper.tail, limit = MIN(keeper.head, keeper.tail + 65536);
  bool found = false;
  for (uint64_t at = keeper.tail; at < limit; at++) {
    uint8_t byte = keeper.ring[at % ring_bytes];
    if (!found && tracker.state == ground && (byte & 0xc0) != 0x80) {
      found = true;
      torn_before = at;
      *modes = tracker;
    }
    track_byte(&tracker, byte);
    if (byte != '\n' || tracker.state != ground) continue;
    *modes = tracker;
    return at + 1;
  }
  return torn_before;
}

/* Programs that draw the whole screen do it again when its size changes; a shell at its prompt needs none of that. */
static void nudge(void) {
  pid_t foreground = tcgetpgrp(keeper.terminal);
  if (keeper.ended || foreground == keeper.shell || foreground <= 0 || keeper.size.ws_row < 2) return;
  struct winsize size = keeper.size;
  size.ws_row--;
  ioctl(keeper.terminal, TIOCSWINSZ, &size);
  keeper.nudge_at = now_ms() + nudge_ms;
}

static void drop_attacher(int index, bool said_goodbye) {
  struct attacher *attacher = keeper.attachers[index];
  if (attacher->attached && attacher->holds && !attacher->is_stalled && !said_goodbye) {
    struct ghost *ghost = &keeper.ghosts[0];
    for (int other = 1; other < most_ghosts; other++)
      if (keeper.ghosts[other].until < ghost->until) ghost = &keeper.ghosts[other];
    *ghost = (struct ghost){attacher->writer, attacher->acknowledged, now_ms() + ghost_ms};
  }
  close(attacher->fd);
  free(attacher);
  keeper.attachers[index] = NULL;
}

static void *begin_frame(struct attacher *attacher, char type, size_t length) {
  uint8_t *frame = attacher->out + attacher->out_length;
  frame[0] = (uint8_t)type;
  put_number(frame + 1, length, 4);
  attacher->out_length += frame_head_bytes + length;
  return frame + frame_head_bytes;
}

/* Where it goes on from: what it has, or the oldest that there is. */
static void begin_at(struct attacher *attacher, uint64_t from) {
  attacher->has_gap = from < keeper.tail || from > keeper.head;
  attacher->sent = attacher->acknowledged = from;
  attacher->welcome_due = true;
  attacher->since = now_ms();
}

static void put_welcome(struct attacher *attacher) {
  char modes[most_modes * 12 + 8];
  size_t modes_length = 0;
  if (attacher->has_gap) {
    struct tracker tracker;
    attacher->sent = attacher->acknowledged = beginning(&tracker);
    modes_length = format_modes(&tracker, modes, sizeof modes);
    nudge();
  }
  uint64_t taken = writer_of(attacher->writer)->taken;
  uint8_t *body = begin_frame(attacher, 'W', 30 + modes_length);
  body[0] = protocol_version;
  body[1] = attacher->has_gap;
  put_number(body + 2, attacher->sent, 8);
  put_number(body + 10, keeper.head, 8);
  put_number(body + 18, taken, 8);
  put_number(body + 26, keeper.size.ws_col, 2);
  put_number(body + 28, keeper.size.ws_row, 2);
  memcpy(body + 30, modes, modes_length);
  attacher->told = taken;
  attacher->welcome_due = attacher->size_due = attacher->taken_due = false;
}

/* Puts what is due next into `out`, which is empty. */
static void fill_out(struct attacher *attacher) {
  attacher->out_at = attacher->out_length = 0;
  if (!attacher->attached) return;
  if (!attacher->welcome_due && attacher->sent < keeper.tail) begin_at(attacher, attacher->sent);
  if (attacher->welcome_due) put_welcome(attacher);
  if (attacher->size_due) {
    uint8_t *body = begin_frame(attacher, 'S', 4);
    put_number(body, keeper.size.ws_col, 2);
    put_number(body + 2, keeper.size.ws_row, 2);
    attacher->size_due = false;
  }
  if (attacher->taken_due) {
    uint64_t taken = writer_of(attacher->writer)->taken;
    put_number(begin_frame(attacher, 'T', 8), taken, 8);
    attacher->told = taken;
    attacher->taken_due = false;
  }
  size_t length = (size_t)MIN(keeper.head - attacher->sent, (uint64_t)chunk_bytes);
  if (length > 0) {
    read_ring(attacher->sent, begin_frame(attacher, 'O', length), length);
    attacher->sent += length;
  } else if (keeper.ended && !attacher->exit_told) {
    uint8_t *body = begin_frame(attacher, 'X', 2);
    body[0] = WIFSIGNALED(keeper.status);
    body[1] = (uint8_t)(WIFSIGNALED(keeper.status) ? WTERMSIG(keeper.status) : WEXITSTATUS(keeper.status));
    attacher->exit_told = true;
  }
}

static bool has_output(const struct attacher *attacher) {
  if (attacher->out_at < attacher->out_length) return true;
  if (!attacher->attached) return false;
  return attacher->welcome_due || attacher->size_due || attacher->taken_due || attacher->sent < keeper.head ||
         (keeper.ended && !attacher->exit_told);
}

/* Returns false when it is gone. */
static bool write_to(struct attacher *attacher) {
  while (has_output(attacher)) {
    if (attacher->out_at == attacher->out_length) fill_out(attacher);
    ssize_t written =
        send(attacher->fd, attacher->out + attacher->out_at, attacher->out_length - attacher->out_at, MSG_NOSIGNAL);
    if (written < 0) return would_block();
    attacher->out_at += (size_t)written;
  }
  return true;
}

static char *append_json(char *at, char *end, const char *text) {
  for (; *text != 0 && at < end - 8; text++) {
    uint8_t byte = (uint8_t)*text;
    if (byte < 0x20 || byte == 0x7f) at += sprintf(at, "\\u%04x", byte);
    else {
      if (byte == '"' || byte == '\\') *at++ = '\\';
      *at++ = (char)byte;
    }
  }
  *at = 0;
  return at;
}

/* What runs in the foreground, and where. */
static void put_description(struct attacher *attacher) {
  char path[64], command[64] = "", folder[PATH_MAX] = "", text[4096], *end = text + sizeof text - 16, *at = text;
  pid_t foreground = keeper.ended ? -1 : tcgetpgrp(keeper.terminal);
  if (foreground <= 0) foreground = keeper.shell;
  snprintf(path, sizeof path, "/proc/%d/comm", (int)foreground);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t length = read(fd, command, sizeof command - 1);
    command[MAX(length - 1, 0)] = 0;
    close(fd);
  }
  for (pid_t pid = foreground;; pid = keeper.shell) {
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    ssize_t length = readlink(path, folder, sizeof folder - 1);
    folder[MAX(length, 0)] = 0;
    if (length > 0 || pid == keeper.shell) break;
  }
  int attached = 0;
  for (int index = 0; index < most_attachers; index++)
    attached += keeper.attachers[index] != NULL && keeper.attachers[index]->attached;
  at += sprintf(at, "{\"session\":\"%s\",\"started\":%lld,\"attached\":%d,\"columns\":%d,\"rows\":%d,\"ended\":%s",
                keeper.session, (long long)keeper.started, attached, keeper.size.ws_col, keeper.size.ws_row,
                keeper.ended ? "true" : "false");
  at = append_json(at + sprintf(at, ",\"command\":\""), end, command);
  at = append_json(at + sprintf(at, "\",\"folder\":\""), end, folder);
  at += sprintf(at, "\"}");
  memcpy(begin_frame(attacher, 'J', (size_t)(at - text)), text, (size_t)(at - text));
}

static void hang_up(void) {
  if (keeper.ended || keeper.kill_at != 0) return;
  pid_t foreground = tcgetpgrp(keeper.terminal);
  if (foreground > 0 && foreground != keeper.shell) kill(-foreground, SIGHUP), kill(-foreground, SIGCONT);
  kill(-keeper.shell, SIGHUP);
  kill(-keeper.shell, SIGCONT);
  keeper.kill_at = now_ms() + hang_up_ms;
}

enum outcome { go_on, goodbye, broken };

static enum outcome take_frame(struct attacher *attacher, char type, const uint8_t *body, size_t length) {
  switch (type) {
    case 'A':
      if (length != 21 || body[0] != protocol_version || attacher->attached) return broken;
      attacher->attached = attacher->holds = true;
      attacher->writer = get_number(body + 13, 8);
      for (int index = 0; index < most_ghosts; index++)
        if (keeper.ghosts[index].writer == attacher->writer) keeper.ghosts[index].until = 0;
      begin_at(attacher, get_number(body + 1, 8));
      set_size((unsigned)get_number(body + 9, 2), (unsigned)get_number(body + 11, 2), attacher);
      return go_on;
    case 'I':
      if (!attacher->attached || attacher->input_length + length > input_bytes) return broken;
      for (size_t index = 0; index < length; index++)
        attacher->input[(attacher->input_at + attacher->input_length + index) % input_bytes] = body[index];
      attacher->input_length += length;
      return go_on;
    case 'S':
      if (length != 4 || !attacher->attached) return broken;
      set_size((unsigned)get_number(body, 2), (unsigned)get_number(body + 2, 2), attacher);
      attacher->size_due = false;
      return go_on;
    case 'K': {
      uint64_t offset = length == 8 ? get_number(body, 8) : UINT64_MAX;
      if (!attacher->attached || offset > attacher->sent) return broken;
      if (offset <= attacher->acknowledged) return go_on;
      attacher->acknowledged = offset;
      attacher->since = now_ms();
      attacher->is_stalled = false;
      return go_on;
    }
    case 'H':
      if (length != 1) return broken;
      attacher->holds = body[0] != 0;
      attacher->since = now_ms();
      return go_on;
    case 'D':
      keeper.over |= attacher->exit_told;
      return goodbye;
    case 'L':
      if (attacher->attached || attacher->out_length > 0) return broken;
      put_description(attacher);
      return go_on;
    case 'E':
      keeper.over |= keeper.ended;
      hang_up();
      return go_on;
    default:
      return broken;
  }
}

static enum outcome read_from(struct attacher *attacher) {
  ssize_t got = read(attacher->fd, attacher->in + attacher->in_length, sizeof attacher->in - attacher->in_length);
  if (got == 0) return broken;
  if (got < 0) return would_block() ? go_on : broken;
  attacher->in_length += (size_t)got;
  size_t at = 0;
  while (attacher->in_length - at >= frame_head_bytes) {
    size_t length = (size_t)get_number(attacher->in + at + 1, 4);
    if (length > input_bytes) return broken;
    if (attacher->in_length - at < frame_head_bytes + length) break;
    enum outcome outcome =
        take_frame(attacher, (char)attacher->in[at], attacher->in + at + frame_head_bytes, length);
    if (outcome != go_on) return outcome;
    at += frame_head_bytes + length;
  }
  attacher->in_length -= at;
  memmove(attacher->in, attacher->in + at, attacher->in_length);
  return go_on;
}

static void write_input(struct attacher *attacher) {
  while (attacher->input_length > 0 && !keeper.reaped) {
    size_t length = MIN(attacher->input_length, input_bytes - attacher->input_at);
    ssize_t written = write(keeper.terminal, attacher->input + attacher->input_at, length);
    if (written <= 0) return;
    attacher->input_at = (attacher->input_at + (size_t)written) % input_bytes;
    attacher->input_length -= (size_t)written;
    struct writer *writer = writer_of(attacher->writer);
    writer->taken += (uint64_t)written;
    /* At once where a sender may wait for it, else with what comes next. */
    if (writer->taken - attacher->told >= input_bytes / 4) attacher->taken_due = true;
  }
}

/* How many bytes may be read of the program: whoever it is held for is not left behind, until the session is ended. */
static size_t readable_bytes(void) {
  if (keeper.kill_at != 0 || end_signal != 0) return lead_bytes;
  uint64_t furthest = 0;
  for (int index = 0; index < most_attachers; index++) {
    struct attacher *attacher = keeper.attachers[index];
    if (attacher != NULL && attacher->attached && attacher->holds && !attacher->is_stalled)
      furthest = MAX(furthest, keeper.head - MIN(attacher->acknowledged, keeper.head));
  }
  int64_t now = now_ms();
  for (int index = 0; index < most_ghosts; index++)
    if (keeper.ghosts[index].until > now)
      furthest = MAX(furthest, keeper.head - keeper.ghosts[index].acknowledged);
  return furthest >= lead_bytes ? 0 : (size_t)(lead_bytes - furthest);
}

static void end_session(void) {
  keeper.ended = true;
  keeper.over = keeper.kill_at != 0;
  keeper.ended_at = now_ms();
}

/* What the program said, into the ring; not all at once, so that whoever reads is served in between. */
static void read_terminal(void) {
  for (size_t budget = turn_bytes; budget > 0;) {
    size_t at = (size_t)(keeper.head % ring_bytes);
    size_t length = MIN(MIN(readable_bytes(), ring_bytes - at), budget);
    if (length == 0) return;
    drop_until(keeper.head + length > ring_bytes ? keeper.head + length - ring_bytes : 0);
    ssize_t got = read(keeper.terminal, keeper.ring + at, length);
    if (got > 0) {
      keeper.head += (uint64_t)got;
      budget -= (size_t)got;
      /* What a job in the background says for ever after is not waited for. */
      if (keeper.reaped && (keeper.last_words += (size_t)got) > most_last_words) return end_session();
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    /* EIO: nobody has the terminal open any more. The shell's end comes by signal. */
    if (keeper.reaped) end_session();
    else if (got == 0 || errno != EAGAIN) keeper.hung_up = true;
    return;
  }
}

static void accept_attacher(void) {
  int fd = accept4(keeper.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int index = 0; index < most_attachers; index++) {
    if (keeper.attachers[index] != NULL) continue;
    struct attacher *attacher = is_own(fd) ? calloc(1, sizeof *attacher) : NULL;
    if (attacher == NULL) break;
    attacher->fd = fd;
    attacher->since = now_ms();
    keeper.attachers[index] = attacher;
    return;
  }
  close(fd);
}

/* What is done by the clock. Returns whether there is more to come. */
static bool look_at_clock(void) {
  int64_t now = now_ms();
  bool waits = keeper.ended;
  if (keeper.nudge_at != 0) {
    waits = true;
    if (now >= keeper.nudge_at) {
      keeper.nudge_at = 0;
      ioctl(keeper.terminal, TIOCSWINSZ, &keeper.size);
    }
  }
  if (keeper.kill_at != 0 && !keeper.reaped) {
    waits = true;
    if (now >= keeper.kill_at) kill(-keeper.shell, SIGKILL);
  }
  for (int index = 0; index < most_ghosts; index++) waits |= keeper.ghosts[index].until > now;
  for (int index = 0; index < most_attachers; index++) {
    struct attacher *attacher = keeper.attachers[index];
    if (attacher == NULL) continue;
    if (!attacher->attached) {
      waits = true;
      if (now - attacher->since > greeting_ms) drop_attacher(index, true);
      continue;
    }
    if (attacher->told < writer_of(attacher->writer)->taken) attacher->taken_due = waits = true;
    if (keeper.head - attacher->acknowledged < lead_bytes) continue;
    waits = true;
    attacher->is_stalled = attacher->is_stalled || now - attacher->since > stalled_ms;
  }
  return waits;
}

static int poll_timeout(bool waits) {
  if (!waits) return -1;
  return keeper.nudge_at == 0 ? tick_ms : (int)MAX(keeper.nudge_at - now_ms(), 1);
}

static _Noreturn void keep(void) {
  sigset_t none;
  sigemptyset(&none);
  bool waits = true;
  for (;;) {
    struct pollfd polled[2 + most_attachers];
    bool has_input = false;
    for (int index = 0; index < most_attachers; index++) {
      struct attacher *attacher = keeper.attachers[index];
      polled[2 + index] = (struct pollfd){.fd = attacher == NULL ? -1 : attacher->fd, .events = POLLIN};
      if (attacher == NULL) continue;
      if (has_output(attacher)) polled[2 + index].events |= POLLOUT;
      has_input |= attacher->input_length > 0;
    }
    bool may_read = !keeper.ended && readable_bytes() > 0;
    polled[0] = (struct pollfd){.fd = keeper.listener, .events = POLLIN};
    polled[1] = (struct pollfd){.events = (short)((may_read ? POLLIN : 0) | (has_input ? POLLOUT : 0))};
    /* Of a terminal that nobody has open poll tells again and again. */
    polled[1].fd = polled[1].events == 0 || keeper.hung_up || keeper.ended ? -1 : keeper.terminal;
    int timeout = poll_timeout(waits);
    struct timespec limit = {timeout / 1000, (timeout % 1000) * 1000000L};
    if (!child_signal && end_signal != SIGHUP) ppoll(polled, 2 + most_attachers, timeout < 0 ? NULL : &limit, &none);
    else for (int index = 0; index < 2 + most_attachers; index++) polled[index].revents = POLLIN;

    if (child_signal) {
      child_signal = 0;
      if (waitpid(keeper.shell, &keeper.status, WNOHANG) == keeper.shell) keeper.reaped = true;
    }
    if (end_signal == SIGHUP) _exit(0);

    if (polled[0].revents != 0) accept_attacher();
    for (int index = 0; index < most_attachers; index++) {
      struct attacher *attacher = keeper.attachers[index];
      if (attacher == NULL || polled[2 + index].fd != attacher->fd) continue;
      if (polled[2 + index].revents & (POLLIN | POLLHUP | POLLERR)) {
        enum outcome outcome = read_from(attacher);
        if (outcome != go_on) {
          drop_attacher(index, outcome == goodbye);
          continue;
        }
      }
      write_input(attacher);
    }
    if (!keeper.ended && (keeper.reaped || polled[1].revents & (POLLIN | POLLHUP | POLLERR))) read_terminal();
    waits = look_at_clock();
    for (int index = 0; index < most_attachers; index++)
      if (keeper.attachers[index] != NULL && !write_to(keeper.attachers[index])) drop_attacher(index, false);
    /* At the container's end the shell is told by whoever ends it, and nobody comes any more to see how it ended. */
    if (keeper.over || (keeper.ended && (end_signal != 0 || now_ms() - keeper.ended_at > linger_ms))) _exit(0);
  }
}

static void show_motd(void) {
  char text[4096];
  int fd = access(".hushlogin", F_OK) == 0 ? -1 : open("/etc/motd", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t length;
  while ((length = read(fd, text, sizeof text)) > 0) write_all(1, text, (size_t)length);
  close(fd);
}

static _Noreturn void run_shell(const char *terminal, const char *client) {
  setsid();
  int fd = open(terminal, O_RDWR);
  if (fd < 0) _exit(126);
  for (int number = 0; number < 3; number++) dup2(fd, number);
  if (fd > 2) close(fd);
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  const char *home = getenv("HOME"), *shell = getenv("SHELL");
  if (home == NULL || chdir(home) != 0) (void)!chdir("/");
  if (shell == NULL || *shell == 0) shell = "/bin/sh";
  setenv("TERM", "xterm-256color", 1);
  setenv("COLORTERM", "truecolor", 1);
  setenv("SSH_TTY", terminal, 1);
  if (client != NULL) setenv("BERTH_CLIENT", client, 1);
  unsetenv("SHLVL");
  unsetenv("OLDPWD");
  show_motd();
  char name[256];
  const char *base = strrchr(shell, '/');
  snprintf(name, sizeof name, "-%s", base == NULL ? shell : base + 1);
  execl(shell, name, (char *)NULL);
  dprintf(2, "%s: %s\r\n", shell, strerror(errno));
  _exit(127);
}

static bool open_terminal(const char *client) {
  int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  char name[64];
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0 || ptsname_r(terminal, name, sizeof name) != 0)
    return false;
  struct termios modes;
  if (tcgetattr(terminal, &modes) == 0) {
    modes.c_iflag |= IUTF8;
    tcsetattr(terminal, TCSANOW, &modes);
  }
  ioctl(terminal, TIOCSWINSZ, &keeper.size);
  keeper.terminal = terminal;
  keeper.shell = fork();
  if (keeper.shell == 0) run_shell(name, client);
  return keeper.shell > 0;
}

static _Noreturn void become_keeper(int listener, const char *session, struct winsize size, const char *client) {
  setsid();
  int nothing = open("/dev/null", O_RDWR);
  for (int number = 0; number < 3; number++) dup2(nothing, number);
  for (int number = 3; number < 256; number++)
    if (number != listener) close(number);
  keeper.session = session;
  keeper.started = time(NULL);
  keeper.listener = listener;
  keeper.size = size;
  keeper.ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (keeper.ring == MAP_FAILED) _exit(1);
  /* Signals come while it waits, and at no other time. */
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int index = 0; index < 4; index++) {
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigaction(numbers[index], &action, NULL);
    sigaddset(&blocked, numbers[index]);
  }
  signal(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  if (!open_terminal(client)) _exit(1);
  (void)!chdir("/");
  set_blocking(listener, false);
  keep();
}

/* ---- The command -------------------------------------------------------------------------------------------- */

static _Noreturn void fail(const char *code) {
  uint8_t head[frame_head_bytes] = {'F'};
  put_number(head + 1, strlen(code), 4);
  write_all(1, head, sizeof head);
  write_all(1, code, strlen(code));
  exit(1);
}

/* Returns a socket to the session's keeper, which is started where it is to be and there is none. */
static int reach(const char *session, bool create, struct winsize size, const char *client) {
  for (int attempt = 0; attempt < 50; attempt++) {
    int fd = connect_to(session);
    if (fd >= 0) return fd;
    if (!create) fail("gone");
    if (each_session(NULL) >= most_sessions) fail("many");
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    socklen_t address_size = address_of(&address, session);
    if (listener >= 0 && bind(listener, (struct sockaddr *)&address, address_size) == 0) {
      if (listen(listener, most_attachers) != 0) fail("failed");
      pid_t pid = fork();
      if (pid < 0) fail("failed");
      if (pid == 0) become_keeper(listener, session, size, client);
      close(listener);
      create = false;
    } else {
      /* Somebody else starts the same one just now. */
      if (listener >= 0) close(listener);
      struct timespec moment = {0, 20000000L};
      nanosleep(&moment, NULL);
    }
  }
  fail("failed");
}

struct pipe {
  int from, to;
  size_t at, length;
  char data[65536];
};

/* Moves what can be moved. Returns false when it is over. */
static bool move(struct pipe *pipe, short from_events, short to_events) {
  if (pipe->at == pipe->length && from_events != 0) {
    ssize_t got = read(pipe->from, pipe->data, sizeof pipe->data);
    if (got == 0 || (got < 0 && !would_block())) return false;
    pipe->at = 0;
    pipe->length = (size_t)MAX(got, 0);
    to_events = POLLOUT;
  }
  if (pipe->at < pipe->length && to_events != 0) {
    ssize_t written = write(pipe->to, pipe->data + pipe->at, pipe->length - pipe->at);
    if (written < 0 && !would_block()) return false;
    pipe->at += (size_t)MAX(written, 0);
  }
  return true;
}

/* Between the SSH channel and the keeper, until either ends. */
static void carry(int keeper_fd) {
  static struct pipe in, out;
  in.from = 0, in.to = keeper_fd, out.from = keeper_fd, out.to = 1;
  for (int fd = 0; fd < 2; fd++) set_blocking(fd, false);
  set_blocking(keeper_fd, false);
  for (;;) {
    bool in_waits = in.at < in.length, out_waits = out.at < out.length;
    struct pollfd polled[3] = {
        {.fd = 0, .events = in_waits ? 0 : POLLIN},
        {.fd = keeper_fd, .events = (short)((in_waits ? POLLOUT : 0) | (out_waits ? 0 : POLLIN))},
        {.fd = out_waits ? 1 : -1, .events = POLLOUT},
    };
    if (in_waits) polled[0].fd = -1;
    if (polled[1].events == 0) polled[1].fd = -1;
    if (poll(polled, 3, -1) < 0 && errno != EINTR) return;
    if (!move(&in, polled[0].revents, polled[1].revents & (POLLOUT | POLLHUP | POLLERR))) break;
    if (!move(&out, out_waits ? 0 : polled[1].revents & (POLLIN | POLLHUP | POLLERR), polled[2].revents)) break;
  }
  for (int fd = 0; fd < 2; fd++) set_blocking(fd, true);
}

static int listed;

static void print_session(const char *session) {
  int fd = connect_to(session);
  if (fd < 0) return;
  struct timeval limit = {.tv_sec = 2};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  uint8_t answer[frame_head_bytes + 4096] = {'L'};
  size_t length = 0, wanted = frame_head_bytes;
  if (write_all(fd, answer, frame_head_bytes)) {
    ssize_t got;
    while (length < wanted && (got = read(fd, answer + length, wanted - length)) > 0) {
      length += (size_t)got;
      if (length == frame_head_bytes)
        wanted = MIN(frame_head_bytes + (size_t)get_number(answer + 1, 4), sizeof answer);
    }
  }
  close(fd);
  if (length <= frame_head_bytes || length < wanted) return;
  printf("%s%.*s", listed++ == 0 ? "" : ",", (int)(length - frame_head_bytes), (char *)answer + frame_head_bytes);
}

/* Returns when the session has ended, at the latest after the time that its programs have for it. */
static void end(const char *session) {
  int fd = connect_to(session);
  if (fd < 0) fail("gone");
  const uint8_t frame[frame_head_bytes] = {'E'};
  write_all(fd, frame, sizeof frame);
  char byte;
  (void)!read(fd, &byte, 1);
  close(fd);
}

static _Noreturn void usage(void) {
  fputs("usage: berth-session attach ID [--new] [--size COLUMNSxROWS] [--client ADDRESS]\n"
        "       berth-session list\n"
        "       berth-session end ID\n",
        stderr);
  exit(2);
}

int main(int count, char **words) {
  signal(SIGPIPE, SIG_IGN);
  if (count < 2) usage();
  if (strcmp(words[1], "list") == 0 && count == 2) {
    write_all(1, marker, sizeof marker - 1);
    printf("[");
    each_session(print_session);
    printf("]\n");
    return 0;
  }
  if (count < 3 || !is_session_id(words[2])) usage();
  if (strcmp(words[1], "end") == 0 && count == 3) {
    write_all(1, marker, sizeof marker - 1);
    end(words[2]);
    return 0;
  }
  if (strcmp(words[1], "attach") != 0) usage();
  bool create = false;
  const char *client = NULL;
  unsigned columns = 80, rows = 24;
  for (int index = 3; index < count; index++) {
    if (strcmp(words[index], "--new") == 0) create = true;
    else if (strcmp(words[index], "--size") == 0 && index + 1 < count) {
      if (sscanf(words[++index], "%5ux%5u", &columns, &rows) != 2) usage();
    } else if (strcmp(words[index], "--client") == 0 && index + 1 < count) client = words[++index];
    else usage();
  }
  write_all(1, marker, sizeof marker - 1);
  struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
  carry(reach(words[2], create, size, client));
  return 0;
}
