// Opener and Protector of src/transport/packet-protection.ts on the OpenSSL that is inside Node, with as
// many packets a call as there are. Called by src/transport/packet-protection-native.ts alone, which has
// checked options and key lengths; what lies in buffers is from a stranger, and every place in them is
// checked here. The packet formats are those of RFC 4253 section 6, OpenSSH's PROTOCOL sections 1.5 and
// 1.6, and its PROTOCOL.chacha20poly1305. Also two calls on sockets that Node has none for: TCP_QUICKACK, and
// sending at once from a buffer that is used anew right after, of which Node would keep hold.
//
// Node-API, and no part of V8 or C++; addon.ts compiles it.

#define NAPI_VERSION 9
#include <node_api.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#endif

enum {
  LENGTH_FIELD = 4,
  PAYLOAD_OFFSET = 5,
  MINIMUM_PADDING = 4,
  LARGEST_PACKET = 256 * 1024,
  MESSAGE_NEW_KEYS = 21,
  POOL = 4096,
  BLOCK = 64, // of ChaCha20, and the largest tag
};

// What Packets in packets.ts keeps: its header, and two words a packet.
enum { COUNT, STOPPED, NEEDED, FIRST_SEQUENCE, NEXT, HEADER };
enum { STOPPED_PARTIAL, STOPPED_FULL, STOPPED_NEW_KEYS };

// What `open` and `seal` return, besides places in a buffer; packet-protection-native.ts knows them.
enum {
  DOES_NOT_FIT = -1,
  FAILED_LENGTH = -2,
  FAILED_MAC = -3,
  FAILED_PADDING = -4,
  OUT_OF_BOUNDS = -5,
  NO_ROOM = -6,
  CLOSED = -7,
  OPENSSL_FAILED = -8,
};

typedef enum { GCM, CHACHA20_POLY1305, CTR } Mode;

typedef struct {
  Mode mode;
  bool is_sealing;
  bool is_length_in_blocks;
  uint32_t block;
  uint32_t tag;
  uint32_t maximum_packet;
  uint32_t sequence;
  // Of the packet that comes next, as soon as its length is known; 0 before.
  uint32_t packet;
  int failure;
  EVP_CIPHER_CTX *cipher; // NULL when closed
  EVP_CIPHER_CTX *length_cipher; // ChaCha20-Poly1305 only
  EVP_MAC_CTX *mac; // not for GCM
  uint8_t iv[16];
  // AES-CTR with an encrypted length: the first block, which was decrypted to read it.
  uint8_t first[16];
} State;

static uint32_t read_uint32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_uint32(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 24);
  at[1] = (uint8_t)(value >> 16);
  at[2] = (uint8_t)(value >> 8);
  at[3] = (uint8_t)value;
}

// Frees what holds keys, which OpenSSL wipes then. The sequence number stays, for whom comes next.
static void forget(State *state) {
  uint32_t sequence = state->sequence;
  EVP_CIPHER_CTX_free(state->cipher);
  EVP_CIPHER_CTX_free(state->length_cipher);
  EVP_MAC_CTX_free(state->mac);
  OPENSSL_cleanse(state, sizeof *state);
  state->sequence = sequence;
}

// Random bytes cost a call each time, so they are drawn in stock; none is used twice.
static bool fill_random(uint8_t *at, uint32_t bytes) {
  static _Thread_local uint8_t pool[POOL];
  static _Thread_local uint32_t used = POOL;
  if (used + bytes > POOL) {
    if (RAND_bytes(pool, POOL) != 1) return false;
    used = 0;
  }
  memcpy(at, pool + used, bytes);
  used += bytes;
  return true;
}

// In place. AES-CTR runs on from call to call.
static bool apply(EVP_CIPHER_CTX *cipher, uint8_t *at, uint32_t bytes) {
  int written;
  return EVP_CipherUpdate(cipher, at, &written, at, (int)bytes) == 1 && (uint32_t)written == bytes;
}

// ---- AES-GCM: the length is authenticated in clear text, the last 8 bytes of the IV count packets

static void count_iv(State *state) {
  for (int index = 11; index >= 4; index -= 1) {
    state->iv[index] += 1;
    if (state->iv[index] != 0) return;
  }
}

static bool start_gcm(State *state, const uint8_t *at) {
  int written;
  return EVP_CipherInit_ex(state->cipher, NULL, NULL, NULL, state->iv, -1) == 1 &&
         EVP_CipherUpdate(state->cipher, NULL, &written, at, LENGTH_FIELD) == 1;
}

static int open_gcm(State *state, uint8_t *at, uint32_t packet) {
  uint8_t rest[16];
  int written;
  if (!start_gcm(state, at)) return OPENSSL_FAILED;
  if (EVP_CIPHER_CTX_ctrl(state->cipher, EVP_CTRL_AEAD_SET_TAG, (int)state->tag, at + packet) != 1) {
    return OPENSSL_FAILED;
  }
  if (!apply(state->cipher, at + LENGTH_FIELD, packet - LENGTH_FIELD)) return OPENSSL_FAILED;
  if (EVP_CipherFinal_ex(state->cipher, rest, &written) != 1) return FAILED_MAC;
  count_iv(state);
  return 0;
}

static int seal_gcm(State *state, uint8_t *at, uint32_t packet) {
  uint8_t rest[16];
  int written;
  if (!start_gcm(state, at)) return OPENSSL_FAILED;
  if (!apply(state->cipher, at + LENGTH_FIELD, packet - LENGTH_FIELD)) return OPENSSL_FAILED;
  if (EVP_CipherFinal_ex(state->cipher, rest, &written) != 1) return OPENSSL_FAILED;
  if (EVP_CIPHER_CTX_ctrl(state->cipher, EVP_CTRL_AEAD_GET_TAG, (int)state->tag, at + packet) != 1) {
    return OPENSSL_FAILED;
  }
  count_iv(state);
  return 0;
}

// ---- ChaCha20-Poly1305: two keys, one for the length alone; the nonce is the sequence number

static bool start_chacha20(State *state, EVP_CIPHER_CTX *cipher) {
  // A block counter of 8 bytes, little-endian, and the nonce in 8, big-endian.
  write_uint32(state->iv + 12, state->sequence);
  return EVP_CipherInit_ex(cipher, NULL, NULL, NULL, state->iv, -1) == 1;
}

// Starts the packet's key stream: block 0 holds the key of the tag, what is encrypted starts at block 1.
static bool start_packet(State *state, uint8_t *tag_key) {
  memset(tag_key, 0, BLOCK);
  return start_chacha20(state, state->cipher) && apply(state->cipher, tag_key, BLOCK);
}

static bool poly1305(State *state, const uint8_t *tag_key, const uint8_t *at, uint32_t bytes, uint8_t *tag) {
  size_t written;
  return EVP_MAC_init(state->mac, tag_key, 32, NULL) == 1 && EVP_MAC_update(state->mac, at, bytes) == 1 &&
         EVP_MAC_final(state->mac, tag, &written, state->tag) == 1 && written == state->tag;
}

static int open_chacha20(State *state, uint8_t *at, uint32_t packet) {
  uint8_t tag_key[BLOCK];
  uint8_t tag[BLOCK];
  bool is_done = start_packet(state, tag_key) && poly1305(state, tag_key, at, packet, tag);
  OPENSSL_cleanse(tag_key, sizeof tag_key);
  if (!is_done) return OPENSSL_FAILED;
  if (CRYPTO_memcmp(tag, at + packet, state->tag) != 0) return FAILED_MAC;
  return apply(state->cipher, at + LENGTH_FIELD, packet - LENGTH_FIELD) ? 0 : OPENSSL_FAILED;
}

static int seal_chacha20(State *state, uint8_t *at, uint32_t packet) {
  uint8_t tag_key[BLOCK];
  bool is_done = start_packet(state, tag_key) && start_chacha20(state, state->length_cipher) &&
                 apply(state->length_cipher, at, LENGTH_FIELD) &&
                 apply(state->cipher, at + LENGTH_FIELD, packet - LENGTH_FIELD) &&
                 poly1305(state, tag_key, at, packet, at + packet);
  OPENSSL_cleanse(tag_key, sizeof tag_key);
  return is_done ? 0 : OPENSSL_FAILED;
}

// ---- AES-CTR with HMAC: over the clear text (RFC 4253), or over what is sent (encrypt-then-MAC)

static bool hmac(State *state, const uint8_t *at, uint32_t bytes, uint8_t *tag) {
  uint8_t sequence[4];
  size_t written;
  write_uint32(sequence, state->sequence);
  // Without a key: with the one it has.
  return EVP_MAC_init(state->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(state->mac, sequence, 4) == 1 &&
         EVP_MAC_update(state->mac, at, bytes) == 1 &&
         EVP_MAC_final(state->mac, tag, &written, state->tag) == 1 && written == state->tag;
}

static int open_ctr(State *state, uint8_t *at, uint32_t packet) {
  uint8_t tag[BLOCK];
  if (state->is_length_in_blocks) {
    uint32_t first = sizeof state->first;
    if (packet > first && !apply(state->cipher, at + first, packet - first)) return OPENSSL_FAILED;
    memcpy(at, state->first, first);
    if (!hmac(state, at, packet, tag)) return OPENSSL_FAILED;
    return CRYPTO_memcmp(tag, at + packet, state->tag) == 0 ? 0 : FAILED_MAC;
  }
  if (!hmac(state, at, packet, tag)) return OPENSSL_FAILED;
  if (CRYPTO_memcmp(tag, at + packet, state->tag) != 0) return FAILED_MAC;
  return apply(state->cipher, at + LENGTH_FIELD, packet - LENGTH_FIELD) ? 0 : OPENSSL_FAILED;
}

static int seal_ctr(State *state, uint8_t *at, uint32_t packet) {
  uint8_t *tag = at + packet;
  if (state->is_length_in_blocks) {
    return hmac(state, at, packet, tag) && apply(state->cipher, at, packet) ? 0 : OPENSSL_FAILED;
  }
  bool is_encrypted = apply(state->cipher, at + LENGTH_FIELD, packet - LENGTH_FIELD);
  return is_encrypted && hmac(state, at, packet, tag) ? 0 : OPENSSL_FAILED;
}

// ---- any of them

static int open_packet(State *state, uint8_t *at, uint32_t packet) {
  switch (state->mode) {
    case GCM: return open_gcm(state, at, packet);
    case CHACHA20_POLY1305: return open_chacha20(state, at, packet);
    default: return open_ctr(state, at, packet);
  }
}

static int seal_packet(State *state, uint8_t *at, uint32_t packet) {
  switch (state->mode) {
    case GCM: return seal_gcm(state, at, packet);
    case CHACHA20_POLY1305: return seal_chacha20(state, at, packet);
    default: return seal_ctr(state, at, packet);
  }
}

static uint32_t length_needs(const State *state) {
  return state->mode == CTR && state->is_length_in_blocks ? sizeof state->first : LENGTH_FIELD;
}

// Puts the packet's size into state->packet, and leaves what is at `at` as it is.
static int read_length(State *state, const uint8_t *at) {
  uint8_t field[sizeof state->first];
  uint32_t bytes = length_needs(state);
  memcpy(field, at, bytes);
  if (state->mode == CHACHA20_POLY1305) {
    if (!start_chacha20(state, state->length_cipher) || !apply(state->length_cipher, field, bytes)) {
      return OPENSSL_FAILED;
    }
  } else if (bytes > LENGTH_FIELD) {
    if (!apply(state->cipher, field, bytes)) return OPENSSL_FAILED;
    memcpy(state->first, field, bytes);
  }
  uint32_t length = read_uint32(field);
  if (length > state->maximum_packet - LENGTH_FIELD) return FAILED_LENGTH;
  uint32_t in_blocks = state->is_length_in_blocks ? LENGTH_FIELD + length : length;
  if (in_blocks < state->block || in_blocks % state->block != 0) return FAILED_LENGTH;
  state->packet = LENGTH_FIELD + length;
  return 0;
}

// Returns where it stopped, or a failure; packets[] is as packets.ts says, `capacity` in packets.
static int64_t open_packets(State *state, uint8_t *bytes, uint32_t start, uint32_t end, uint32_t *packets,
                            uint32_t capacity) {
  uint32_t at = start;
  uint32_t count = 0;
  uint32_t needed = 0;
  uint32_t stopped = STOPPED_FULL;
  int failure = state->failure;
  memset(packets, 0, HEADER * sizeof *packets);
  packets[FIRST_SEQUENCE] = state->sequence;

  while (failure == 0 && count < capacity) {
    if (state->packet == 0) {
      needed = length_needs(state);
      if (end - at < needed) {
        stopped = STOPPED_PARTIAL;
        break;
      }
      failure = read_length(state, bytes + at);
      if (failure != 0) break;
    }
    uint32_t packet = state->packet;
    needed = packet + state->tag;
    if (end - at < needed) {
      stopped = STOPPED_PARTIAL;
      break;
    }
    failure = open_packet(state, bytes + at, packet);
    if (failure != 0) break;
    uint32_t padding = bytes[at + LENGTH_FIELD];
    if (padding < MINIMUM_PADDING || PAYLOAD_OFFSET + padding >= packet) {
      failure = FAILED_PADDING;
      break;
    }
    uint32_t payload = at + PAYLOAD_OFFSET;
    packets[HEADER + 2 * count] = payload;
    packets[HEADER + 2 * count + 1] = packet - PAYLOAD_OFFSET - padding;
    count += 1;
    state->sequence += 1;
    state->packet = 0;
    at += needed;
    if (bytes[payload] == MESSAGE_NEW_KEYS) {
      stopped = STOPPED_NEW_KEYS;
      break;
    }
  }
  packets[COUNT] = count;
  if (failure != 0) {
    state->failure = failure;
    // Or some later call of Node's own would find it.
    ERR_clear_error();
    return failure;
  }
  packets[STOPPED] = stopped;
  packets[NEEDED] = stopped == STOPPED_PARTIAL ? needed : 0;
  packets[NEXT] = at;
  return at;
}

static uint32_t padding_for(const State *state, uint32_t payload) {
  uint32_t unpadded = payload + (state->is_length_in_blocks ? PAYLOAD_OFFSET : PAYLOAD_OFFSET - LENGTH_FIELD);
  uint32_t padding = state->block - unpadded % state->block;
  return padding < MINIMUM_PADDING ? padding + state->block : padding;
}

// 0 for a payload that fits in no packet.
static uint32_t packet_for(const State *state, uint32_t payload) {
  if (payload > LARGEST_PACKET) return 0;
  uint32_t packet = PAYLOAD_OFFSET + payload + padding_for(state, payload);
  return packet <= LARGEST_PACKET ? packet : 0;
}

// Returns where the last one ends, DOES_NOT_FIT, or a failure.
static int64_t seal_packets(State *state, const uint8_t *source, size_t source_bytes, const uint32_t *packets,
                            uint8_t *output, size_t output_bytes, uint32_t offset) {
  uint32_t count = packets[COUNT];
  const uint32_t *words = packets + HEADER;
  uint64_t at = offset;
  bool fits = true;
  if (state->failure != 0) return state->failure;
  for (uint32_t index = 0; index < count; index += 1) {
    uint32_t start = words[2 * index];
    uint32_t payload = words[2 * index + 1];
    if (payload == 0) continue;
    if (start > source_bytes || payload > source_bytes - start) return OUT_OF_BOUNDS;
    uint32_t packet = packet_for(state, payload);
    if (packet == 0) return OUT_OF_BOUNDS;
    // Would it be covered by what those before it have become? As numbers, for the two may be one buffer.
    uintptr_t first = (uintptr_t)source + start;
    if (first + payload > (uintptr_t)output + offset && first < (uintptr_t)output + at) fits = false;
    at += packet + state->tag;
    if (at > output_bytes) return NO_ROOM;
  }
  if (!fits) return DOES_NOT_FIT;

  at = offset;
  for (uint32_t index = 0; index < count; index += 1) {
    uint32_t payload = words[2 * index + 1];
    if (payload == 0) continue;
    uint32_t padding = padding_for(state, payload);
    uint32_t packet = PAYLOAD_OFFSET + payload + padding;
    uint8_t *target = output + at;
    const uint8_t *from = source + words[2 * index];
    if (from != target + PAYLOAD_OFFSET) memmove(target + PAYLOAD_OFFSET, from, payload);
    write_uint32(target, packet - LENGTH_FIELD);
    target[LENGTH_FIELD] = (uint8_t)padding;
    int failure = fill_random(target + PAYLOAD_OFFSET + payload, padding) ? seal_packet(state, target, packet)
                                                                          : OPENSSL_FAILED;
    if (failure != 0) {
      state->failure = failure;
      ERR_clear_error();
      return failure;
    }
    state->sequence += 1;
    at += packet + state->tag;
  }
  return (int64_t)at;
}

// ---- what JavaScript calls

static napi_value throw_type(napi_env env, const char *text) {
  napi_throw_type_error(env, NULL, text);
  return NULL;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  forget(data);
  free(data);
}

static bool get_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  napi_typedarray_type type;
  void *pointer = NULL;
  if (napi_get_typedarray_info(env, value, &type, length, &pointer, NULL, NULL) != napi_ok) return false;
  *data = pointer;
  // Places in a buffer are given and returned as 32 bits.
  return type == napi_uint8_array && *length <= INT32_MAX;
}

// The words of Packets; `capacity` in packets.
static bool get_packets(napi_env env, napi_value value, uint32_t **words, uint32_t *capacity) {
  napi_typedarray_type type;
  size_t length;
  void *data = NULL;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok) return false;
  if (type != napi_uint32_array || length < HEADER || length > UINT32_MAX) return false;
  *words = data;
  *capacity = (uint32_t)((length - HEADER) / 2);
  return true;
}

static State *get_state(napi_env env, napi_value value) {
  void *state = NULL;
  return napi_get_value_external(env, value, &state) == napi_ok ? state : NULL;
}

static EVP_CIPHER_CTX *new_cipher(const char *name, const uint8_t *key, const uint8_t *iv, bool is_sealing) {
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
  EVP_CIPHER_CTX *context = cipher == NULL ? NULL : EVP_CIPHER_CTX_new();
  if (context != NULL && EVP_CipherInit_ex(context, cipher, NULL, key, iv, is_sealing ? 1 : 0) != 1) {
    EVP_CIPHER_CTX_free(context);
    context = NULL;
  }
  EVP_CIPHER_free(cipher);
  return context;
}

static EVP_MAC_CTX *new_mac(const char *name, const char *digest, const uint8_t *key, size_t key_bytes) {
  EVP_MAC *mac = EVP_MAC_fetch(NULL, name, NULL);
  EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
  if (context != NULL && digest != NULL) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_MAC_init(context, key, key_bytes, parameters) != 1) {
      EVP_MAC_CTX_free(context);
      context = NULL;
    }
  }
  EVP_MAC_free(mac);
  return context;
}

static bool set_up(State *state, const char *digest, const uint8_t *key, size_t key_bytes, const uint8_t *iv,
                   size_t iv_bytes, const uint8_t *mac_key, size_t mac_key_bytes) {
  switch (state->mode) {
    case GCM:
      if (!(key_bytes == 16 || key_bytes == 32) || iv_bytes != 12) return false;
      memcpy(state->iv, iv, iv_bytes);
      state->cipher = new_cipher(key_bytes == 16 ? "AES-128-GCM" : "AES-256-GCM", key, iv, state->is_sealing);
      return state->cipher != NULL;
    case CHACHA20_POLY1305:
      if (key_bytes != 64) return false;
      // Both directions are the same sum with the key stream; here and in AES-CTR.
      state->cipher = new_cipher("ChaCha20", key, state->iv, true);
      state->length_cipher = new_cipher("ChaCha20", key + 32, state->iv, true);
      state->mac = new_mac("POLY1305", NULL, NULL, 0);
      return state->cipher != NULL && state->length_cipher != NULL && state->mac != NULL;
    case CTR: {
      if (!(key_bytes == 16 || key_bytes == 24 || key_bytes == 32) || iv_bytes != 16) return false;
      const char *name = key_bytes == 16 ? "AES-128-CTR" : key_bytes == 24 ? "AES-192-CTR" : "AES-256-CTR";
      state->cipher = new_cipher(name, key, iv, true);
      state->mac = new_mac("HMAC", digest, mac_key, mac_key_bytes);
      return state->cipher != NULL && state->mac != NULL;
    }
  }
  return false;
}

// create(isSealing, mode, digest, isLengthInBlocks, blockBytes, tagBytes, maximumPacketBytes, sequenceNumber,
//        encryptionKey, iv, macKey)
static napi_value create(napi_env env, napi_callback_info info) {
  napi_value arguments[11];
  size_t count = 11;
  State asked = {0};
  uint32_t mode;
  char digest[16];
  size_t digest_bytes;
  uint8_t *key, *iv, *mac_key;
  size_t key_bytes, iv_bytes, mac_key_bytes;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 11 ||
      napi_get_value_bool(env, arguments[0], &asked.is_sealing) != napi_ok ||
      napi_get_value_uint32(env, arguments[1], &mode) != napi_ok || mode > CTR ||
      napi_get_value_string_utf8(env, arguments[2], digest, sizeof digest, &digest_bytes) != napi_ok ||
      napi_get_value_bool(env, arguments[3], &asked.is_length_in_blocks) != napi_ok ||
      napi_get_value_uint32(env, arguments[4], &asked.block) != napi_ok ||
      napi_get_value_uint32(env, arguments[5], &asked.tag) != napi_ok ||
      napi_get_value_uint32(env, arguments[6], &asked.maximum_packet) != napi_ok ||
      napi_get_value_uint32(env, arguments[7], &asked.sequence) != napi_ok ||
      !get_bytes(env, arguments[8], &key, &key_bytes) || !get_bytes(env, arguments[9], &iv, &iv_bytes) ||
      !get_bytes(env, arguments[10], &mac_key, &mac_key_bytes) || !(asked.block == 8 || asked.block == 16) ||
      asked.tag > BLOCK || asked.maximum_packet < LENGTH_FIELD || asked.maximum_packet > LARGEST_PACKET) {
    return throw_type(env, "not the arguments of create");
  }
  asked.mode = (Mode)mode;
  State *state = calloc(1, sizeof *state);
  if (state == NULL) return throw_type(env, "no memory");
  *state = asked;
  napi_value external;
  if (!set_up(state, digest, key, key_bytes, iv, iv_bytes, mac_key, mac_key_bytes) ||
      napi_create_external(env, state, finalize, NULL, &external) != napi_ok) {
    finalize(env, state, NULL);
    ERR_clear_error();
    return throw_type(env, "OpenSSL does not take these keys");
  }
  return external;
}

static napi_value to_number(napi_env env, int64_t value) {
  napi_value result;
  return napi_create_int32(env, (int32_t)value, &result) == napi_ok ? result : NULL;
}

// open(state, bytes, start, end, words)
static napi_value open_call(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5;
  uint8_t *bytes;
  size_t length;
  uint32_t start, end, capacity;
  uint32_t *words;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 5) {
    return throw_type(env, "not the arguments of open");
  }
  State *state = get_state(env, arguments[0]);
  if (state == NULL || !get_bytes(env, arguments[1], &bytes, &length) ||
      napi_get_value_uint32(env, arguments[2], &start) != napi_ok ||
      napi_get_value_uint32(env, arguments[3], &end) != napi_ok ||
      !get_packets(env, arguments[4], &words, &capacity)) {
    return throw_type(env, "not the arguments of open");
  }
  if (state->cipher == NULL) return to_number(env, CLOSED);
  if (start > end || end > length || state->is_sealing) return to_number(env, OUT_OF_BOUNDS);
  return to_number(env, open_packets(state, bytes, start, end, words, capacity));
}

// seal(state, source, words, output, offset)
static napi_value seal_call(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5;
  uint8_t *source, *output;
  size_t source_bytes, output_bytes;
  uint32_t offset, capacity;
  uint32_t *words;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 5) {
    return throw_type(env, "not the arguments of seal");
  }
  State *state = get_state(env, arguments[0]);
  if (state == NULL || !get_bytes(env, arguments[1], &source, &source_bytes) ||
      !get_packets(env, arguments[2], &words, &capacity) ||
      !get_bytes(env, arguments[3], &output, &output_bytes) ||
      napi_get_value_uint32(env, arguments[4], &offset) != napi_ok) {
    return throw_type(env, "not the arguments of seal");
  }
  if (state->cipher == NULL) return to_number(env, CLOSED);
  if (words[COUNT] > capacity || !state->is_sealing) return to_number(env, OUT_OF_BOUNDS);
  if (offset > output_bytes) return to_number(env, NO_ROOM);
  return to_number(env, seal_packets(state, source, source_bytes, words, output, output_bytes, offset));
}

// sequenceNumber(state)
static napi_value sequence_call(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1) return NULL;
  State *state = get_state(env, argument);
  if (state == NULL) return throw_type(env, "not the arguments of sequenceNumber");
  return napi_create_uint32(env, state->sequence, &result) == napi_ok ? result : NULL;
}

// close(state)
static napi_value close_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1) return NULL;
  State *state = get_state(env, argument);
  if (state == NULL) return throw_type(env, "not the arguments of close");
  forget(state);
  return NULL;
}

// quickAck(fd): whether the kernel took it
static napi_value quick_ack_call(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  int32_t descriptor;
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, argument, &descriptor) != napi_ok) {
    return throw_type(env, "not the arguments of quickAck");
  }
  bool is_set = false;
#ifdef TCP_QUICKACK
  int on = 1;
  is_set = setsockopt(descriptor, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on) == 0;
#endif
  return napi_get_boolean(env, is_set, &result) == napi_ok ? result : NULL;
}

// send(fd, bytes, start, end): how many bytes the kernel took at once; 0 when it takes none now, -1 when it failed
static napi_value send_call(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  int32_t descriptor;
  uint8_t *bytes;
  size_t length;
  uint32_t start, end;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 4 ||
      napi_get_value_int32(env, arguments[0], &descriptor) != napi_ok ||
      !get_bytes(env, arguments[1], &bytes, &length) ||
      napi_get_value_uint32(env, arguments[2], &start) != napi_ok ||
      napi_get_value_uint32(env, arguments[3], &end) != napi_ok || start > end || end > length) {
    return throw_type(env, "not the arguments of send");
  }
  ssize_t sent = -1;
#ifdef __linux__
  do {
    sent = send(descriptor, bytes + start, end - start, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent == -1 && errno == EINTR);
  if (sent == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) sent = 0;
#endif
  return to_number(env, sent);
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"create", NULL, create, NULL, NULL, NULL, napi_enumerable, NULL},
      {"open", NULL, open_call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"seal", NULL, seal_call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"sequenceNumber", NULL, sequence_call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"quickAck", NULL, quick_ack_call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"send", NULL, send_call, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  size_t count = sizeof functions / sizeof *functions;
  return napi_define_properties(env, exports, count, functions) == napi_ok ? exports : NULL;
}
