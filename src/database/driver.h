// What every kind of database offers to the jobs above. Nothing of a vendor leaks through this
// header: positions are texts that only the driver understands.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/secret.h"
#include "core/time.h"
#include "crypto/cipher.h"
#include "database/base.h"
#include "database/log_archive.h"
#include "repository/repository.h"
#include "repository/tree_writer.h"
#include "storage/open.h"

namespace sevenfold::database {

// Where a server is and who we are there.
struct ServerLogin {
    std::string host;  // empty: the socket
    uint16_t port = 0;
    std::string socket;
    std::string tls = "off";  // off, required, verified
    std::string tls_ca;
    std::string user;
    Secret password;
};

struct ServerState {
    std::string version;
    Position position;        // now; gtid empty: the server writes no log
    uint64_t data_bytes = 0;  // of tables and indexes, as the server estimates
    bool privileged = false;  // the account may do everything
};

struct BaseRequest {
    std::string method = "logical";               // logical, physical
    std::vector<std::string> databases, exclude;  // patterns
    std::string format = "tsv";
    bool users = true;
    unsigned threads = 0;
    // Physical: only what changed since one of these, the newest that serves; none does: all.
    std::vector<BaseManifest> since;
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct BaseOutcome {
    BaseManifest base;
    std::chrono::nanoseconds commits_blocked{0};
    std::vector<std::string> warnings;
};

// Loading a logical base into a server.
struct LoadRequest {
    std::vector<std::string> tables;  // patterns of database.table; empty: all
    std::map<std::string, std::string> rename;
    bool users = false;
    bool verify = true;
    unsigned threads = 0;
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct LoadOutcome {
    uint64_t tables = 0, rows = 0, verified_tables = 0;
    std::vector<std::string> warnings;
};

// What to replay after a base.
struct ReplayRequest {
    Position from;  // of the base
    struct Until {
        enum class Kind { end, time, after, before } kind = Kind::end;
        Time time;
        std::string transaction;
    } until;
    std::vector<std::string> drop;  // transactions
    // Transaction -> texts of one or several statements each.
    std::map<std::string, std::vector<std::string>> replace;
    std::string replace_database;  // the default one of these
    unsigned threads = 0;
    std::function<void(uint64_t transactions, uint64_t total)> progress;
    std::stop_token stop;
};

struct ReplayOutcome {
    std::string reached;  // position
    uint64_t transactions = 0, edited = 0, bytes = 0;
    std::optional<Time> last;  // when the last of them began
    double seconds = 0;
};

// A server that runs on a restored folder, apart from everything: its own socket, no network,
// nothing inherited that would connect anywhere.
class Instance {
  public:
    virtual ~Instance() = default;  // stops it
    virtual ServerLogin login() const = 0;
    virtual void stop() = 0;  // cleanly
    // Starts it anew so that it goes on when this object and this process go away.
    struct Detached {
        int64_t process = 0;
        std::string socket;
    };
    virtual Detached leave_running() = 0;
};

struct StartOptions {
    std::string data_dir;
    uint64_t memory = 256 << 20;  // for its buffers
    bool writes_log = false;
    std::string run_dir;  // for socket, pid file and error log; empty: data_dir
};

// Where a stream keeps its second copy, encrypted: a folder, or a host over SFTP.
struct SecondSpool {
    std::string name;            // for messages
    storage::Location location;  // its folder
    std::vector<std::string> ssh_args;
    crypto::CipherKey key;
};

// Receiving a server's log while it is written.
struct StreamRequest {
    std::string database;  // its name in the configuration
    std::string spool;     // folder on this machine
    // Names of all places that seal() brings it to: nothing is trimmed that one of them lacks.
    std::vector<std::string> places;
    bool acknowledge = true;  // commits wait until what they did is stored
    bool canary = false;
    bool allow_privileged = false;      // else such an account is Error{refused} when it connects
    std::optional<SecondSpool> second;  // a commit is acknowledged when it has it, too
    // With an empty spool: where what all places have of the log ends. The stream goes on there, or
    // it is a gap.
    std::optional<Position> continue_after;
    std::vector<std::string> incarnations;  // of that log: new ones are named to come after them
    std::string first_file;                 // else where it begins; empty: the server's newest file
};

struct StreamStatus {
    std::string protection;  // "armed", "degraded", "broken"
    std::string reason;      // why it is not armed
    Time since;
    std::string gtid;  // durable here
    std::string file;
    uint64_t offset = 0;
    uint64_t transactions = 0, acknowledged = 0, unprotected_transactions = 0, bytes = 0;
    double unprotected_seconds = 0;
    Time last_received;
    std::vector<std::string> gaps;  // for people
};
// What a stream last wrote down of itself in its spool; nothing: there was none.
std::optional<StreamStatus> stored_stream_status(const std::string& driver,
                                                 const std::string& spool);

// `base` and what the second spool has beyond it, as it is now: of every file the bytes of `base`
// count first. The folder may be missing: then it is `base` alone, which must outlive it. Throws
// when the host cannot be reached. Memory: a frame of 256 KiB, and about 100 bytes for each that is
// read.
std::unique_ptr<LogArchive> continue_with_second_spool(const std::string& driver,
                                                       const SecondSpool& second,
                                                       const LogArchive& base);

class LogReceiver {
  public:
    virtual ~LogReceiver() = default;
    // Until stop is requested; reconnects by itself. Throws what cannot get better by trying again.
    virtual void run(std::stop_token stop) = 0;
    virtual StreamStatus status() const = 0;
    // Stores what is durable in the spool at these places, as snapshots of SnapshotKind::log; each
    // replaces the one before it. Never throws for a place's failure. May be called while run()
    // runs, and by several threads for different places.
    struct Place {
        std::string name;
        repository::Repository* repository = nullptr;  // null: it could not be opened
    };
    struct Sealed {
        std::string place;
        uint64_t bytes = 0;  // newly stored
        bool saved = false;  // a snapshot was made: there was something new
        std::optional<Error> error;
    };
    virtual std::vector<Sealed> seal(const std::vector<Place>& places) = 0;
    // Removes from the spool what every place has and nobody will append to; how many files.
    virtual size_t trim(std::chrono::seconds keep) = 0;
    // Removes from the second copy what every place has in full and nobody will append to; how many
    // parts. Takes as long as its host's answers; throws what reaching it throws. One thread.
    virtual size_t trim_second() = 0;
};

struct StreamCallbacks {
    std::function<void(uint64_t bytes)> on_stored;
    std::function<void(const std::string& gap)> on_gap;
    std::function<void(const StreamStatus&)> on_state;
};

// A server's setting or right that the stream needs otherwise.
struct StreamFinding {
    bool serious = true;
    std::string name, value, why;
    std::string fix;  // SQL, or a line for the server's option file
};

// Up to where a log goes.
struct LogEnd {
    Position position;  // after its last transaction
    Time time;          // when that began, whole seconds
};

class Driver {
  public:
    virtual ~Driver() = default;

    virtual ServerState look() = 0;
    // Whether a position is at or after another; for positions of one history.
    virtual bool reaches(const std::string& position, const std::string& wanted) const = 0;
    // Whether the archive leads from one position of a server to a later one without a gap, by file
    // and offset, or over to another server with the same history; costs the heads of a few files,
    // and after a change of servers what lies between `from` and that. Nothing: it does; else what
    // is missing.
    virtual std::optional<std::string> missing_between(const LogArchive& archive,
                                                       const Position& from,
                                                       const Position& to) const = 0;
    // The last whole transaction to which the archive leads from a position without a gap; nothing:
    // there is none after it, or more than `limit` bytes would have to be read.
    virtual std::optional<LogEnd> log_end(const LogArchive& archive, const Position& from,
                                          uint64_t limit) const = 0;
    // Of the log between two positions of an archive that leads from one to the other.
    virtual uint64_t log_bytes(const LogArchive& archive, const Position& from,
                               const Position& to) const = 0;
    // A statement there that makes replaying what follows slow or uncertain (a table is rebuilt, or
    // what changed is not in the log); nothing: there is none. Reads that part of the log.
    virtual std::optional<std::string> replay_risk(const LogArchive& archive, const Position& from,
                                                   const Position& to) const = 0;
    // Writes a base into the tree, base.json last. Error{timeout}: the schema changed meanwhile,
    // try again. Nothing of it counts unless it returns.
    virtual BaseOutcome make_base(const BaseRequest& request, repository::TreeWriter& tree) = 0;

    // Columns of the primary key; all columns when there is none. Throws Error{not_found}.
    virtual std::vector<std::string> key_columns(const ServerLogin& server,
                                                 const std::string& table) = 0;
    // All rows of "database.table", as the data files of a base have them; how many.
    virtual uint64_t export_table(const ServerLogin& server, const std::string& table,
                                  const std::string& format,
                                  const std::function<void(ByteView)>& sink) = 0;
    virtual LoadOutcome load(const ServerLogin& target, const repository::Repository& repository,
                             const Id& tree, const LoadRequest& request) = 0;
    // Makes a folder with a new empty server. `as_us`: it belongs to the user who runs this, not to
    // the one whom servers usually run as; for folders of our own, which others cannot reach.
    virtual void install(const std::string& data_dir, bool as_us) = 0;
    // Makes what came from a physical base a folder that a server starts on. `increments`: folders
    // with the files of the bases that followed it, in their order.
    virtual void prepare(const std::string& data_dir, const std::vector<std::string>& increments,
                         uint64_t memory, bool as_us) = 0;
    // Reads every table of a server of ours to its end. Throws Error{corrupt} naming the first that
    // is damaged; else how many objects of each kind there are.
    virtual ObjectCounts inspect(const ServerLogin& server, std::stop_token stop) = 0;
    // The objects of the database's own server, as far as the account sees them.
    virtual ObjectCounts count_objects() = 0;
    // Writes the data folder of a server that has stopped into the tree, as a prepared base.
    virtual void store_prepared(const std::string& data_dir, const BaseManifest& base,
                                repository::TreeWriter& tree, Progress* progress) = 0;
    virtual std::unique_ptr<Instance> start(const StartOptions& options) = 0;
    virtual std::unique_ptr<LogReceiver> receive(const StreamRequest& request,
                                                 const StreamCallbacks& callbacks) = 0;
    virtual std::vector<StreamFinding> check_stream() = 0;
    // Statements that make the accounts of some features: dump, physical, stream, replay.
    struct GrantRequest {
        std::vector<std::string> features;
        std::string user, host, system_user;
        std::vector<std::string> databases;
        bool canary = false;  // the stream makes small writes of its own
    };
    virtual std::vector<std::string> grant_statements(const GrantRequest& request) = 0;
    struct Right {
        std::string state, right, detail;  // present, missing, excess, dangerous
    };
    struct AccountReport {
        std::string account;
        std::vector<Right> rights;
        bool sufficient = false, minimal = false;
    };
    // By using it, with the login of that feature. `canary`: also the stream's own writes.
    virtual AccountReport check_account(const std::string& feature, bool canary) = 0;
    // Throws Error{usage} for what cannot be dropped or replaced like that, whatever the log holds.
    virtual void check_edits(const ReplayRequest& request) = 0;
    // The target has exactly what a base at request.from has.
    virtual ReplayOutcome replay(const ServerLogin& target, const LogArchive& archive,
                                 const ReplayRequest& request) = 0;
};

struct DriverOptions {
    ServerLogin login, physical_login, stream_login;
    std::string backup_tool;
};
// "mariadb". Throws Error{unsupported}.
std::unique_ptr<Driver> make_driver(const std::string& name, DriverOptions options);

}  // namespace sevenfold::database
