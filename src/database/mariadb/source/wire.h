// The server's side of the MySQL client/server protocol, as far as a replica needs it: packets, the
// login with mysql_native_password, answers in the text protocol. Layouts: MariaDB Knowledge Base,
// "Client/Server Protocol".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/secret.h"
#include "os/file.h"

namespace sevenfold::database::mariadb::source {

// Longer payloads travel in several packets; a replica never sends one.
inline constexpr size_t kMaxPacket = 0xffffff;

// A connection to one client. Used by one thread. Everything that fails throws Error: network when
// the other side is gone, timeout, corrupt when it does not keep to the protocol.
class PacketSocket {
  public:
    explicit PacketSocket(os::UniqueFd fd);

    // The next packet of at most 64 KiB. Nothing when the client closed the connection.
    std::optional<Bytes> read(std::chrono::milliseconds patience);
    // Buffered; up to 256 KiB are kept back until flush(). `lead` goes before the payload.
    void write(ByteView payload, ByteView lead = {});
    void flush();
    // Packets are numbered from 0 in each exchange; the client begins it.
    void begin_exchange() { sequence_ = 0; }
    // Has the client sent something, or gone? Waits for at most `patience`.
    bool readable(std::chrono::milliseconds patience);
    // Makes every call fail from now on; may be called by another thread.
    void shut_down();

  private:
    bool fill(MutableByteView out, std::chrono::steady_clock::time_point until);

    os::UniqueFd fd_;
    uint8_t sequence_ = 0;
    Bytes out_;
};

struct Login {
    std::string user;
    Bytes response;      // to the challenge
    std::string plugin;  // how it was made; empty: not said
};
inline constexpr std::string_view kNativePassword = "mysql_native_password";

using Challenge = std::array<uint8_t, 20>;  // bytes 1 to 127
Challenge make_challenge();
Bytes handshake(uint32_t connection, std::string_view server_version, const Challenge& challenge);
// Throws Error{corrupt}.
Login parse_login(ByteView payload);
Bytes switch_to_native_password(const Challenge& challenge);
// Is it what somebody who knows the password answers? Takes the same time in any case.
bool answers(const Challenge& challenge, const Secret& password, ByteView response);

struct Command {
    enum Type : uint8_t {
        quit = 0x01,
        init_db = 0x02,
        query = 0x03,
        ping = 0x0e,
        binlog_dump = 0x12,
        register_replica = 0x15,
    };
    uint8_t type = 0;
    std::string text;        // query: the statement; init_db: the name; binlog_dump: the file
    uint32_t position = 0;   // binlog_dump
    uint16_t flags = 0;      // binlog_dump
    uint32_t server_id = 0;  // binlog_dump, register_replica
    static constexpr uint16_t kNonBlocking = 1, kAnnotate = 2;
};
// Throws Error{corrupt}.
Command parse_command(ByteView payload);

Bytes ok_packet();
Bytes eof_packet();
Bytes error_packet(uint16_t number, std::string_view message);
// One row of text columns; without values an empty result.
std::vector<Bytes> result_set(const std::vector<std::string>& columns,
                              const std::vector<std::optional<std::string>>& values);

}  // namespace sevenfold::database::mariadb::source
