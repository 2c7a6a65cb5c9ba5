// A connection's two directions, each with a deadline: plain descriptors, or TLS on a socket.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "core/bytes.h"

namespace sevenfold::net::internal {

using Deadline = std::chrono::steady_clock::time_point;

class Wire {
  public:
    virtual ~Wire() = default;
    // Before anything else: TLS' handshake.
    virtual void open(Deadline) {}
    // Some bytes, 0 at the end. Throws Error{timeout} or Error{network}.
    virtual size_t read(MutableByteView out, Deadline until) = 0;
    // Some of the bytes, at least one.
    virtual size_t write(ByteView data, Deadline until) = 0;
    // Nothing more will be written.
    virtual void finish(Deadline) {}
};

// Over non-blocking descriptors that stay the caller's.
std::unique_ptr<Wire> plain_wire(int input, int output);

// What TLS connections share: certificate and key, read anew when the files change.
class TlsFiles {
  public:
    // Throws Error{config} for files that cannot be used.
    TlsFiles(std::string certificate_file, std::string key_file);
    ~TlsFiles();
    std::unique_ptr<Wire> wire(int socket);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sevenfold::net::internal
