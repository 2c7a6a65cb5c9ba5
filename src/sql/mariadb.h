// A connection to MariaDB (or MySQL) over Connector/C: queries, results, errors as Error.
//
// One connection belongs to one thread at a time. Every statement that fails throws Error: network
// when the server went away, permission for missing rights, else io, with the server's own message
// and number. Error numbers are at hand as ServerError::number.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/error.h"
#include "core/secret.h"

struct st_mysql;

namespace sevenfold::sql {

struct MariadbOptions {
    std::string host;  // with port; empty: the socket
    uint16_t port = 3306;
    std::string socket;  // empty, with an empty host: Connector/C's default
    std::string user;    // empty: the name of the system's user
    Secret password;
    std::string database;
    enum class Tls { off, required, verified } tls = Tls::off;  // verified: certificate and name
    std::string tls_ca;                                         // file; empty: the system's
    std::chrono::seconds connect_timeout{10};
    std::chrono::seconds io_timeout{0};  // for one answer; 0: none
    std::string program = "sevenfold";   // shown in the server's process list

    // "socket /run/x.sock", "db1:3306": for messages.
    std::string display() const;
};

// What the server said no to.
class ServerError : public Error {
  public:
    ServerError(ErrorKind kind, std::string message, std::string hint, unsigned server_number)
        : Error(kind, std::move(message), std::move(hint)), number(server_number) {}
    unsigned number;  // ER_…, CR_…
};

// One row; a field that is NULL has no value.
using Row = std::vector<std::optional<std::string>>;

// The fields of a row as the client library holds them; valid until the next row.
struct RowView {
    const char* const* fields;  // nullptr: NULL
    const unsigned long* lengths;
    size_t count;
    bool is_null(size_t i) const { return fields[i] == nullptr; }
    std::string_view text(size_t i) const {
        return fields[i] ? std::string_view(fields[i], lengths[i]) : std::string_view();
    }
};

class MariadbConnection {
  public:
    // Connects, logs in, and sets the session to utf8mb4, UTC, and a sql_mode without surprises.
    explicit MariadbConnection(const MariadbOptions& options);
    ~MariadbConnection();
    MariadbConnection(const MariadbConnection&) = delete;
    MariadbConnection& operator=(const MariadbConnection&) = delete;

    // A statement whose result, if any, is not wanted. Returns the number of affected rows.
    uint64_t execute(std::string_view statement);
    // Statements without results, sent together and run one after the other: they cost one round
    // trip. The numbers of affected rows. Throws what the first that fails says; those after it did
    // not run, those before it did.
    std::vector<uint64_t> execute_all(std::span<const std::string> statements);
    // All rows, held in memory.
    std::vector<Row> query(std::string_view statement);
    // The first field of the first row; nothing when there is no row or it is NULL.
    std::optional<std::string> value(std::string_view statement);
    // The same as a whole number; 0 without one.
    uint64_t number(std::string_view statement);
    // Row by row as the server sends them; no memory grows. When `row` throws the connection is
    // cut: it cannot be used any more, and the rest of a large table is not waited for.
    void stream(std::string_view statement, const std::function<void(const RowView&)>& row);
    // LOAD DATA LOCAL INFILE: `fill` writes at most `size` bytes to `to` and returns how many, 0 at
    // the end. The file name in the statement is not used. Returns the number of rows loaded.
    uint64_t load_local(std::string_view statement,
                        const std::function<size_t(char* to, size_t size)>& fill);

    uint64_t thread_id() const;
    unsigned warning_count() const;
    std::string server_version() const;  // "10.11.19-MariaDB-…"
    unsigned version_number() const;     // 101119
    bool is_mariadb() const;
    const MariadbOptions& options() const { return options_; }
    // For the replication protocol: see database/mariadb/stream.
    st_mysql* handle() const { return handle_; }
    // The last error of the handle as an exception; for callers that use the handle.
    [[noreturn]] void throw_last_error(std::string_view what) const;

  private:
    void run(std::string_view statement);

    MariadbOptions options_;
    st_mysql* handle_ = nullptr;
};

// `name` in backticks, `db`.`name`, 'text' with what MariaDB needs escaped (any bytes, for a
// session without NO_BACKSLASH_ESCAPES), and X'00ff'.
std::string quote_name(std::string_view name);
std::string quote_name(std::string_view database, std::string_view name);
std::string quote_text(std::string_view text);
std::string quote_hex(ByteView bytes);

}  // namespace sevenfold::sql
