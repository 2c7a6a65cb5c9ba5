// The connection over which a server sends its binlog, and over which stored events are
// acknowledged (semi-synchronous replication).
//
// Built on Connector/C, which connects, logs in and encrypts. Its own mariadb_rpl_fetch
// acknowledges an event before the caller has seen it, so packets are read and acknowledged here.
// That uses fields of its structures which are public, but no promise: the constructor tests that
// they are what this was compiled for, and throws Error{unsupported} otherwise.
//
// One thread uses a client. Errors are as sql::MariadbConnection throws them; after one the client
// is of no use any more.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "core/bytes.h"
#include "database/mariadb/binlog/event.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct ReplicationOptions {
    sql::MariadbOptions connection;
    uint32_t server_id = 0;  // ours: no other replica may have it
    bool semi_sync = true;   // ask for flags on events that wait for our word
    std::chrono::milliseconds heartbeat{1000};
    // Nothing in the middle of an answer for so long: the connection is lost.
    std::chrono::seconds io_timeout{20};
};

// One event as it came.
struct ReceivedEvent {
    ByteView bytes;           // header, body, checksum; valid until the next call of the client
    bool ack_wanted = false;  // a client's commit waits until this has been acknowledged
};

class ReplicationClient {
  public:
    // Connects, sets the session up and registers as a replica. Right: REPLICATION SLAVE.
    explicit ReplicationClient(const ReplicationOptions& options);

    // For questions before dump().
    sql::MariadbConnection& connection() { return connection_; }

    // Asks for the log from an event's start on. An empty name is the oldest file there is.
    void dump(const std::string& file, uint64_t offset);
    // Instead of dump(): the file that has what follows these GTIDs, as the server finds it.
    // Nothing else may be done with the connection after it. sql::ServerError 1236 when it has not
    // all of that.
    std::string find_file(const std::string& gtids);
    // Waits until bytes are there. After false, read() would wait.
    bool wait(std::chrono::milliseconds timeout);
    // The next event; waits for it. Error{network} when the server ended the stream;
    // sql::ServerError 1236 when it cannot give what was asked for.
    ReceivedEvent read();
    // The last event came with flags: semi-sync is on at the server, which listens to ack().
    bool has_flags() const { return has_flags_; }
    // Everything up to `offset` of the file is durable. The last of several is enough.
    void ack(const std::string& file, uint64_t offset);

  private:
    void self_test();
    void set_up();
    void register_replica();
    void command(int number, ByteView payload, bool answered, const char* what);

    ReplicationOptions options_;
    sql::MariadbConnection connection_;
    bool has_flags_ = false;
};

// Of an event that the server made for the connection: it has a checksum or not, whatever the file
// has.
Event split_made_event(ByteView raw);

// ER_MASTER_FATAL_ERROR_READING_BINLOG: the server does not have what was asked for.
constexpr unsigned kErrorReadingBinlog = 1236;

}  // namespace sevenfold::database::mariadb
