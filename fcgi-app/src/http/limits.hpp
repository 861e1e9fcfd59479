// The limits that depend on each other, in one place: what one lets in, the next must hold, and a change that breaks that does
// not compile. tests/lint compares nginx's own with them. Constants and nothing else: any thread.
#pragma once

#include <cstddef>

namespace app {

// The largest body that a service may take. Each says its own, at most this; nginx (clients.conf) has the service's, and
// refuses a larger one first, with the same status.
constexpr std::size_t body_max_bytes = 16 * 1024;

// Of an Idempotency-Key. nginx's head has room for it.
constexpr std::size_t idempotency_key_max_bytes = 64;

// All that nginx passes beside the body. It reads heads of at most 33 KiB (one buffer of 1 KiB, and clients.conf: four of 8);
// the parameters' own names and lengths are the rest.
constexpr std::size_t head_max_bytes = 33 * 1024;
constexpr std::size_t parameters_max_bytes = head_max_bytes + 2 * 1024;

// A body that came in byte by byte leaves nginx as records of one byte, each with a header of 8 and padded to a multiple of 8.
constexpr std::size_t record_of_one_byte_bytes = 16;
// The header of each other record: the beginning with its 8 bytes, parameters, their end, the body's end.
constexpr std::size_t frame_bytes = 5 * 8;

// All records of one request together: what the gate lets through, and what one connection may take of memory.
constexpr std::size_t request_max_bytes = 320 * 1024;
static_assert(parameters_max_bytes + body_max_bytes * record_of_one_byte_bytes + frame_bytes <= request_max_bytes);

// An answer that is sent whole, or one piece of a stream, without what FastCGI adds: its head included.
constexpr std::size_t answer_max_bytes = 96 * 1024;
// What a connection's socket takes of answers that the peer has not read yet. So a connection need not block: the gate lets
// libfcgi read only what is there, and only an answer to a peer that has not read those before it finds no room.
constexpr std::size_t send_buffer_bytes = 256 * 1024;
static_assert(2 * answer_max_bytes <= send_buffer_bytes);

}  // namespace app
