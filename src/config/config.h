// The configuration: one TOML file that says what is protected, where to, and how often.
//
// Every option is declared once, in option_table.cc; parsing, messages, `config show`, the sample
// file and docs/manual/configuration.md come from there. Loading validates everything that can be
// known without opening a place. A wrong configuration is an Error{config}, exit code 2, before
// anything is touched.
//
// No secret is ever held here: places name a file or a command that yields their password.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sevenfold::config {

struct AppSection {
    std::string name;
    std::vector<std::string> team;
    std::string state_dir;  // catalog, caches; absolute after loading
};

// A repository somewhere.
struct PlaceConfig {
    std::string name;
    std::string url;     // as restic writes it; local paths are absolute after loading
    std::string domain;  // empty: its own, by the place's name (see failure_domain)
    std::string password_file, password_command;  // at most one is set
    bool append_only = false;
    uint64_t upload_limit = 0, download_limit = 0;  // bytes a second, 0: none
    uint64_t connections = 0;                       // 0: the backend's own number
    std::vector<std::string> ssh_options;
    std::string region, credentials, storage_class, bucket_lookup = "auto";  // for s3: places
    std::string lock;     // for s3: places: "compliance:30d"; empty: nothing is locked
    std::string ca_file;  // https: certificates to trust instead of the system's
    uint64_t pack_size = 16 << 20;
    int line = 0;

    // Places with the same domain count once for the two-places rules.
    const std::string& failure_domain() const { return domain.empty() ? name : domain; }
};

inline constexpr int64_t kKeepAll = -1;

// Retention; all zero and empty: keep everything.
struct KeepConfig {
    int64_t last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;  // -1: all
    // As restic writes them: "1y5m7d2h", m being months.
    std::string within, within_hourly, within_daily, within_weekly, within_monthly, within_yearly;
    std::vector<std::string> tags;  // snapshots with one of these are kept

    bool keeps_everything() const;
    bool operator==(const KeepConfig&) const = default;
};

// A source: a folder of files.
struct FilesConfig {
    std::string name;
    std::string path;  // absolute after loading; of a bucket, what it is called in snapshots
    std::string url;   // of a bucket instead of a folder; empty: none
    std::string region, credentials, bucket_lookup = "auto", ca_file;  // as a place's
    uint64_t connections = 0;                                          // 0: 16
    bool acl = true, object_tags = true;  // of objects: ask for grants and tags
    std::chrono::nanoseconds every{std::chrono::hours(24)};
    std::vector<std::string> exclude, exclude_file, exclude_if_present;
    bool exclude_caches = false, one_file_system = false;
    uint64_t exclude_larger_than = 0;  // 0: no limit
    uint64_t min_files = 1;  // fewer files than this, once there have been as many: refused
    std::vector<std::string> places;  // names; never empty after loading
    std::vector<std::string> tags;
    KeepConfig keep;
    int line = 0;
};

// How one account logs in; the server's own socket authentication needs no password.
struct AccountConfig {
    std::string user, password_file, password_command;  // at most one of the last two
};

// A source: a database server, or some of its databases.
struct DatabaseConfig {
    std::string name;
    std::string driver = "mariadb";
    std::string host;  // empty: the socket
    uint64_t port = 3306;
    std::string socket;
    std::string tls = "off";                         // off, required, verified
    std::string tls_ca;                              // absolute after loading
    AccountConfig account;                           // reads everything: dumps, timeline
    AccountConfig physical_account, stream_account;  // user empty: as `account`
    std::vector<std::string> databases, exclude;     // patterns; empty: all, none
    std::chrono::nanoseconds every{std::chrono::hours(1)};
    std::chrono::nanoseconds base{std::chrono::hours(24)};
    std::string method = "auto";  // auto, logical, physical
    std::string format = "tsv";   // tsv, sql
    bool users = true;
    uint64_t threads = 0;  // 0: by the number of processors
    std::string backup_tool;
    bool incremental = false, prepare = true;  // of physical bases
    bool stream = false;
    std::string ack = "semi-sync";  // semi-sync, async
    std::string stream_second;      // a place's name; empty: none
    std::chrono::nanoseconds seal{std::chrono::minutes(1)};
    uint64_t seal_size = 64 << 20;
    bool canary = false;
    std::vector<std::string> places;  // names; never empty after loading
    std::vector<std::string> tags;
    int line = 0;
};

// A plain copy of a folder, for failover. One of the two ends may be on a host (sftp:).
struct MirrorConfig {
    std::string name;
    std::string from, to;  // a folder, absolute after loading, or sftp:user@host:/folder
    std::chrono::nanoseconds every{std::chrono::hours(24)};
    std::chrono::nanoseconds keep_removed{std::chrono::hours(24 * 30)};
    int64_t max_change = 20;           // percent of the files at `to`
    uint64_t allow_changes = 20;       // so many may always change
    uint64_t min_files = 1;            // of the source
    std::string marker;                // relative to `from`; empty: none
    std::vector<std::string> exclude;  // rsync's patterns
    bool one_file_system = false;
    bool attributes = true;  // extended attributes and ACLs
    std::vector<std::string> ssh_options;
    int line = 0;
};

struct RecoverySection {
    std::chrono::nanoseconds rto{std::chrono::hours(3)};
    std::chrono::nanoseconds rpo{std::chrono::hours(24)};
};

struct DrillSection {
    std::string every = "monthly";
};

// A source of either kind; one of the two is set.
struct SourceConfig {
    const FilesConfig* files = nullptr;
    const DatabaseConfig* database = nullptr;
    const std::string& name() const { return files ? files->name : database->name; }
};

struct AppConfig {
    AppSection app;
    std::vector<PlaceConfig> places;
    std::vector<FilesConfig> files;
    std::vector<DatabaseConfig> databases;
    std::vector<MirrorConfig> mirrors;
    RecoverySection recovery;
    DrillSection drill;

    const PlaceConfig* find_place(std::string_view name) const;
    const FilesConfig* find_files(std::string_view name) const;
    const DatabaseConfig* find_database(std::string_view name) const;
    // As find_…, but an unknown name is Error{usage} with the nearest known one.
    const PlaceConfig& place(std::string_view name) const;
    const FilesConfig& source(std::string_view name) const;
    // Those named, of either kind; all when none is named.
    std::vector<SourceConfig> sources(const std::vector<std::string>& names) const;
    // Those named; all when none is named. An unknown name is Error{usage}.
    std::vector<const MirrorConfig*> mirrors_named(const std::vector<std::string>& names) const;
    // Empty: the only one there is.
    const DatabaseConfig& database(std::string_view name) const;
};

// Something wrong (or, as a warning, doubtful) in the file. `line` 0: no line to name.
struct Problem {
    std::string file;
    int line = 0;
    std::string text;
    std::string hint;
    std::string text_with_place() const;  // "sevenfold.toml:12: text"
};

// An effective value and where it came from, for `config show`.
struct Setting {
    std::string section;  // "app", "place main", "files uploads keep"
    std::string key;
    std::string value;   // as TOML; passwords in URLs are ***
    std::string origin;  // "sevenfold.toml:12", "default", "$SEVENFOLD_RTO"
    int line = 0;        // where origin is the file
};

struct LoadedConfig {
    std::string path;  // absolute
    AppConfig config;
    std::vector<Setting> settings;
    std::vector<Problem> warnings;
};

// Looks up an environment variable; nullptr when it is not set.
using Environment = std::function<const char*(const char* name)>;
Environment process_environment();

// What load() finds, all of it: problems make the configuration unusable.
struct Inspection {
    LoadedConfig loaded;
    std::vector<Problem> problems;  // by line
};
// Throws only when the file cannot be read. `path` is named in messages as given.
Inspection inspect(const std::string& path, const Environment& environment = process_environment());
// As inspect(), for text that is not in a file; `path` says where it would lie.
Inspection inspect_text(std::string_view toml, const std::string& path,
                        const Environment& environment = process_environment());
// Throws Error{config} for the first problem, naming file and line.
LoadedConfig load(const std::string& path, const Environment& environment = process_environment());

// The number of sources of all kinds.
size_t source_count(const AppConfig& config);

// SEVENFOLD_PASSWORD_OFF_SITE for the place "off-site".
std::string password_variable(std::string_view place_name);

// A URL with its password replaced by ***.
std::string redacted(std::string_view url);
// What a bucket is called in snapshots: "/s3:host:port/bucket/prefix"; nothing when the URL is not
// a bucket's.
std::optional<std::string> bucket_path(std::string_view url);
// The path of a place in a folder of this machine; nothing for other URLs.
std::optional<std::string> local_path(std::string_view url);

}  // namespace sevenfold::config
