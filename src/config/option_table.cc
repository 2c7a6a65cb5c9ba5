#include "config/option_table.h"

#include <fmt/format.h>

#include "core/check.h"
#include "core/units.h"

namespace sevenfold::config {
namespace {

template <class T>
struct MemberOf;
template <class S, class F>
struct MemberOf<F S::*> {
    using Struct = S;
    using Field = F;
};

template <class Field>
void set_field(Field& field, const Value& value) {
    if constexpr (std::is_same_v<Field, uint64_t>)
        field = static_cast<uint64_t>(std::get<int64_t>(value));
    else
        field = std::get<Field>(value);
}

// Stores a value of the right type in the field `Member` of a section's struct.
template <auto Member>
void into(void* section_struct, const Value& value) {
    using Struct = typename MemberOf<decltype(Member)>::Struct;
    set_field(static_cast<Struct*>(section_struct)->*Member, value);
}
// The same for a field of one of its accounts.
template <auto Account, auto Member>
void into_account(void* section_struct, const Value& value) {
    using Struct = typename MemberOf<decltype(Account)>::Struct;
    set_field((static_cast<Struct*>(section_struct)->*Account).*Member, value);
}

using enum OptionType;
using App = AppSection;
using Place = PlaceConfig;
using Files = FilesConfig;
using Keep = KeepConfig;
using Database = DatabaseConfig;
using Account = AccountConfig;
using Mirror = MirrorConfig;

constexpr Section kSections[] = {
    {"app", false, "", "The application that is protected.", ""},
    {"place", true, "",
     "A place holds a copy of everything. Use at least two, with different vendors.", ""},
    {"files", true, "", "A folder or a bucket of user files.", ""},
    {"keep", false, "files",
     "Which snapshots of this source shall stay when old ones are removed; a snapshot stays if any "
     "of these asks for it. Nothing removes snapshots by itself yet: see `sevenfold repo forget`.",
     ""},
    {"database", true, "",
     "A database server, or some of its databases. `sevenfold db grants` prints the accounts that "
     "it needs; `sevenfold stream check` the server's settings.",
     ""},
    {"mirror", true, "",
     "A plain copy of a folder that can be used at once when the original is gone, made with "
     "rsync. "
     "It follows the original's mistakes, too: it is no backup, and no rule counts it.",
     ""},
    {"recovery", false, "", "What a disaster may cost.", ""},
    {"drill", false, "", "Rehearsals of the recovery.", ""},
    {"volume", true, "", "A volume.", "protect volumes"},
};

// section, key, type, default, unit, env, required, allowed, example, help, field
constexpr Option kOptions[] = {
    {"app", "name", text, "", "", "SEVENFOLD_APP_NAME", true, "", "\"shop\"",
     "What the application is called in reports", into<&App::name>},
    {"app", "team", text_list, "[]", "", "", false, "",
     "[\"dev1@example.com\", \"dev2@example.com\"]", "Who takes part in recovery drills, in turn",
     into<&App::team>},
    {"app", "state_dir", text, "", "", "SEVENFOLD_STATE_DIR", false, "", "\"/var/lib/sevenfold\"",
     "Folder for the catalog of runs and for caches. Default: /var/lib/sevenfold for a "
     "configuration under /etc, else the folder `state` beside the configuration",
     into<&App::state_dir>},

    {"place", "name", text, "", "", "", true, "", "\"offsite\"",
     "A short name, used in commands and reports", into<&Place::name>},
    {"place", "url", text, "", "", "", true, "", "\"sftp:backup@vault.example.net:/srv/shop\"",
     "Where the repository lies, as restic writes it: a folder, sftp:user@host:/folder, "
     "rest:https://host/path/ or s3:https://host/bucket/prefix; or ssh:user@host:/folder, where "
     "the "
     "far end runs `sevenfold serve`. A relative folder starts at the configuration's folder",
     into<&Place::url>},
    {"place", "domain", text, "", "", "", false, "", "\"hetzner\"",
     "What would fail together with this place: the vendor, the building. Places with the same "
     "domain count once for the two-places rules. Default: the place's name",
     into<&Place::domain>},
    {"place", "password_file", text, "", "", "", false, "", "\"secrets/offsite.password\"",
     "File whose first line is the repository's password. Without this and password_command the "
     "environment variable SEVENFOLD_PASSWORD_<NAME> is used",
     into<&Place::password_file>},
    {"place", "password_command", text, "", "", "", false, "", "\"pass show shop/offsite\"",
     "Command (for /bin/sh) that prints the password", into<&Place::password_command>},
    {"place", "append_only", boolean, "false", "", "", false, "", "true",
     "The place refuses deletion; old snapshots are removed there with its own maintenance key",
     into<&Place::append_only>},
    {"place", "upload_limit", size, "0", "bytes a second", "", false, "", "\"10MiB\"",
     "Most that is sent to the place each second; 0 is no limit", into<&Place::upload_limit>},
    {"place", "download_limit", size, "0", "bytes a second", "", false, "", "\"10MiB\"",
     "Most that is read from the place each second; 0 is no limit", into<&Place::download_limit>},
    {"place", "connections", count, "0", "connections", "", false, "", "4",
     "Operations at the same time; 0 chooses by the kind of place", into<&Place::connections>},
    {"place", "ssh_options", text_list, "[]", "", "", false, "",
     "[\"-i\", \"/etc/sevenfold/ssh_key\"]", "More arguments for ssh, for sftp: and ssh: places",
     into<&Place::ssh_options>},
    {"place", "region", text, "", "", "", false, "", "\"eu-central-1\"",
     "The bucket's region, for s3: places. Default: from the host's name, AWS_REGION, or what the "
     "server says",
     into<&Place::region>},
    {"place", "credentials", text, "", "", "", false, "", "\"profile:backup\"",
     "Where the keys of an s3: place come from: environment, profile:NAME (of ~/.aws), file:PATH, "
     "command:COMMAND, instance (the machine's role) or anonymous. Default: the first of "
     "environment, profile and role that has some. For rest: places environment, file:PATH or "
     "command:COMMAND, which give user:password",
     into<&Place::credentials>},
    {"place", "storage_class", by_kind, "", "", "", false, "",
     "{ data = \"STANDARD_IA\", trees = \"STANDARD\" }",
     "Storage class of the packs in an s3: place, one that is read at once; or one for each of "
     "data, trees (packs of folders: small, and read often), index, snapshots and keys. Default: "
     "the bucket's",
     into<&Place::storage_class>},
    {"place", "lock", text, "", "", "", false, "", "\"compliance:30d\"",
     "Locks what is stored in an s3: place so that nobody can remove it for this long "
     "(compliance), "
     "or only with a special right (governance), and renews that for what snapshots need. The "
     "bucket must have Object Lock; see the manual on S3",
     into<&Place::lock>},
    {"place", "bucket_lookup", text, "\"auto\"", "", "", false, "auto|dns|path", "\"path\"",
     "How the bucket of an s3: place is named to the server: dns (bucket.host), path "
     "(host/bucket), or auto: as AWS wants it there, else path",
     into<&Place::bucket_lookup>},
    {"place", "ca_file", text, "", "", "", false, "", "\"/etc/sevenfold/ca.pem\"",
     "File with the certificates that are trusted over https, instead of the system's",
     into<&Place::ca_file>},
    {"place", "pack_size", size, "\"16MiB\"", "bytes", "", false, "", "\"64MiB\"",
     "Size of the files in the repository, from 4MiB to 128MiB; larger ones suit fast links",
     into<&Place::pack_size>},

    {"files", "name", text, "", "", "", true, "", "\"uploads\"",
     "A short name, used in commands and reports", into<&Files::name>},
    {"files", "path", text, "", "", "", false, "", "\"/srv/shop/uploads\"",
     "The folder. A relative one starts at the configuration's folder", into<&Files::path>},
    {"files", "url", text, "", "", "", false, "", "\"s3:https://s3.example.net/uploads\"",
     "Instead of path: a bucket, or a part of one, as s3:https://host/bucket/prefix. The options "
     "that follow up to object_tags are for buckets only",
     into<&Files::url>},
    {"files", "region", text, "", "", "", false, "", "\"eu-central-1\"",
     "The bucket's region, as for a place", into<&Files::region>},
    {"files", "credentials", text, "", "", "", false, "", "\"profile:uploads\"",
     "Where the keys come from, as for a place. They need no more than to list and read",
     into<&Files::credentials>},
    {"files", "bucket_lookup", text, "\"auto\"", "", "", false, "auto|dns|path", "\"path\"",
     "How the bucket is named to the server, as for a place", into<&Files::bucket_lookup>},
    {"files", "ca_file", text, "", "", "", false, "", "\"/etc/sevenfold/ca.pem\"",
     "File with the certificates that are trusted over https, instead of the system's",
     into<&Files::ca_file>},
    {"files", "connections", count, "0", "connections", "", false, "", "32",
     "Objects read at the same time; 0 is 16", into<&Files::connections>},
    {"files", "acl", boolean, "true", "", "", false, "", "false",
     "Keeps each object's grants; false where the key may not read them", into<&Files::acl>},
    {"files", "object_tags", boolean, "true", "", "", false, "", "false",
     "Keeps each object's tags", into<&Files::object_tags>},
    {"files", "every", duration, "\"1d\"", "", "", false, "", "\"15m\"",
     "How often it is to be saved; older copies do not count as good", into<&Files::every>},
    {"files", "exclude", text_list, "[]", "", "", false, "",
     "[\"*.tmp\", \"/srv/shop/uploads/cache\"]",
     "Patterns of what to leave out: * and ? within a name, ** over folders; a pattern with / at "
     "its beginning is anchored there; one that begins with ! takes back",
     into<&Files::exclude>},
    {"files", "exclude_file", text_list, "[]", "", "", false, "", "[\"exclude.txt\"]",
     "Files with one such pattern a line", into<&Files::exclude_file>},
    {"files", "exclude_if_present", text_list, "[]", "", "", false, "", "[\".nobackup\"]",
     "Leaves out the contents of folders that hold a file of this name; with \"name:text\" the "
     "file must begin with the text",
     into<&Files::exclude_if_present>},
    {"files", "exclude_caches", boolean, "false", "", "", false, "", "true",
     "Leaves out the contents of folders with a CACHEDIR.TAG (bford.info/cachedir)",
     into<&Files::exclude_caches>},
    {"files", "one_file_system", boolean, "false", "", "", false, "", "true",
     "Does not enter other file systems mounted below the folder", into<&Files::one_file_system>},
    {"files", "exclude_larger_than", size, "0", "bytes", "", false, "", "\"4GiB\"",
     "Leaves out files larger than this; 0 is no limit", into<&Files::exclude_larger_than>},
    {"files", "min_files", count, "1", "files", "", false, "", "100",
     "A source that used to have this many files and now has fewer is refused: it may be empty "
     "because it is not mounted. 0 never refuses",
     into<&Files::min_files>},
    {"files", "places", text_list, "", "", "", false, "", "[\"main\", \"offsite\"]",
     "Names of the places that hold it. Default: all", into<&Files::places>},
    {"files", "tags", text_list, "[]", "", "", false, "", "[\"uploads\"]", "Tags for its snapshots",
     into<&Files::tags>},

    {"keep", "last", counter, "0", "snapshots", "", false, "", "4",
     "The newest snapshots; \"all\" keeps every one", into<&Keep::last>},
    {"keep", "hourly", counter, "0", "hours", "", false, "", "48",
     "The newest snapshot of each of the last hours that have one", into<&Keep::hourly>},
    {"keep", "daily", counter, "0", "days", "", false, "", "30",
     "The newest snapshot of each of the last days that have one", into<&Keep::daily>},
    {"keep", "weekly", counter, "0", "weeks", "", false, "", "8",
     "The newest snapshot of each of the last weeks that have one", into<&Keep::weekly>},
    {"keep", "monthly", counter, "0", "months", "", false, "", "12",
     "The newest snapshot of each of the last months that have one", into<&Keep::monthly>},
    {"keep", "yearly", counter, "0", "years", "", false, "", "5",
     "The newest snapshot of each of the last years that have one", into<&Keep::yearly>},
    {"keep", "within", span, "", "", "", false, "", "\"14d\"",
     "Everything not older than this before the newest snapshot", into<&Keep::within>},
    {"keep", "within_hourly", span, "", "", "", false, "", "\"2d\"",
     "One an hour of those not older than this", into<&Keep::within_hourly>},
    {"keep", "within_daily", span, "", "", "", false, "", "\"1m\"",
     "One a day of those not older than this", into<&Keep::within_daily>},
    {"keep", "within_weekly", span, "", "", "", false, "", "\"3m\"",
     "One a week of those not older than this", into<&Keep::within_weekly>},
    {"keep", "within_monthly", span, "", "", "", false, "", "\"1y\"",
     "One a month of those not older than this", into<&Keep::within_monthly>},
    {"keep", "within_yearly", span, "", "", "", false, "", "\"10y\"",
     "One a year of those not older than this", into<&Keep::within_yearly>},
    {"keep", "tags", text_list, "[]", "", "", false, "", "[\"release\"]",
     "Every snapshot with one of these tags", into<&Keep::tags>},

    {"database", "name", text, "", "", "", true, "", "\"main\"",
     "A short name, used in commands and reports", into<&Database::name>},
    {"database", "driver", text, "\"mariadb\"", "", "", false, "mariadb", "\"mariadb\"",
     "What kind of server it is", into<&Database::driver>},
    {"database", "socket", text, "", "", "", false, "", "\"/run/mysqld/mysqld.sock\"",
     "The server's socket on this machine. Default, without host: the client library's own",
     into<&Database::socket>},
    {"database", "host", text, "", "", "", false, "", "\"db1.example.net\"",
     "The server's host, for a connection over TCP", into<&Database::host>},
    {"database", "port", count, "3306", "", "", false, "", "3306", "The server's port",
     into<&Database::port>},
    {"database", "tls", text, "\"off\"", "", "", false, "off|required|verified", "\"verified\"",
     "required: encrypted; verified: the server's certificate and name are checked too",
     into<&Database::tls>},
    {"database", "tls_ca", text, "", "", "", false, "", "\"/etc/sevenfold/ca.pem\"",
     "File with the certificates that are trusted. Default: the system's", into<&Database::tls_ca>},
    {"database", "user", text, "", "", "", false, "", "\"sevenfold\"",
     "The account that reads everything. Default: the name of the system's user",
     into_account<&Database::account, &Account::user>},
    {"database", "password_file", text, "", "", "", false, "", "\"secrets/database.password\"",
     "File whose first line is the account's password. Without this and password_command the "
     "server's socket authentication is used",
     into_account<&Database::account, &Account::password_file>},
    {"database", "password_command", text, "", "", "", false, "", "\"pass show shop/database\"",
     "Command (for /bin/sh) that prints the password",
     into_account<&Database::account, &Account::password_command>},
    {"database", "physical_user", text, "", "", "", false, "", "\"sevenfold_physical\"",
     "The account for physical bases. Default: user",
     into_account<&Database::physical_account, &Account::user>},
    {"database", "physical_password_file", text, "", "", "", false, "",
     "\"secrets/physical.password\"", "File with its password",
     into_account<&Database::physical_account, &Account::password_file>},
    {"database", "physical_password_command", text, "", "", "", false, "",
     "\"pass show shop/physical\"", "Command that prints it",
     into_account<&Database::physical_account, &Account::password_command>},
    {"database", "stream_user", text, "", "", "", false, "", "\"sevenfold_stream\"",
     "The account for the stream. Default: user",
     into_account<&Database::stream_account, &Account::user>},
    {"database", "stream_password_file", text, "", "", "", false, "", "\"secrets/stream.password\"",
     "File with its password", into_account<&Database::stream_account, &Account::password_file>},
    {"database", "stream_password_command", text, "", "", "", false, "",
     "\"pass show shop/stream\"", "Command that prints it",
     into_account<&Database::stream_account, &Account::password_command>},
    {"database", "databases", text_list, "[]", "", "", false, "", "[\"shop\", \"shop_*\"]",
     "Patterns of the databases that a logical base holds. Default: all",
     into<&Database::databases>},
    {"database", "exclude", text_list, "[]", "", "", false, "", "[\"shop.sessions\"]",
     "Patterns of tables (database.table) that a logical base leaves out",
     into<&Database::exclude>},
    {"database", "every", duration, "\"1h\"", "", "", false, "", "\"1h\"",
     "A recoverable point at least this often", into<&Database::every>},
    {"database", "base", duration, "\"1d\"", "", "", false, "", "\"1d\"",
     "Where the stream runs: a new base this often, and in between points that cost nothing. "
     "Without the stream every run makes a base",
     into<&Database::base>},
    {"database", "method", text, "\"auto\"", "", "", false, "auto|logical|physical", "\"physical\"",
     "How a base is made. logical: tables as text, for any server version; physical: the server's "
     "own files by mariadb-backup, much faster to restore; auto: logical while the predicted "
     "restore fits a third of rto",
     into<&Database::method>},
    {"database", "format", text, "\"tsv\"", "", "", false, "tsv|sql", "\"tsv\"",
     "Data files of a logical base: tsv for LOAD DATA (fast), or sql", into<&Database::format>},
    {"database", "users", boolean, "true", "", "", false, "", "false",
     "A logical base holds the accounts and their grants, too", into<&Database::users>},
    {"database", "threads", count, "0", "connections", "", false, "", "4",
     "Connections that read a logical base at once; 0 chooses by the processors",
     into<&Database::threads>},
    {"database", "backup_tool", text, "\"mariadb-backup\"", "", "", false, "",
     "\"/opt/mariadb/bin/mariadb-backup\"",
     "The program that makes physical bases; it must be of the server's series",
     into<&Database::backup_tool>},
    {"database", "incremental", boolean, "false", "", "", false, "", "true",
     "A physical base holds only the pages that changed since the last whole one, which is made "
     "anew "
     "after a week or when half of it has changed. Pages that did not change are stored once in "
     "any "
     "case; this saves reading and writing for large servers, and costs time in a restore",
     into<&Database::incremental>},
    {"database", "prepare", boolean, "true", "", "", false, "", "false",
     "Right after a physical base: prepare a copy of it, start a server on it, check every table, "
     "and "
     "store it as a base that needs no preparation in a restore. It needs the room of the base "
     "below "
     "state_dir; where that is missing, a warning says so. `sevenfold db prepare` does it later or "
     "elsewhere",
     into<&Database::prepare>},
    {"database", "stream", boolean, "false", "", "", false, "", "true",
     "Receive the binlog continuously (`sevenfold stream`)", into<&Database::stream>},
    {"database", "ack", text, "\"semi-sync\"", "", "", false, "semi-sync|async", "\"semi-sync\"",
     "semi-sync: a commit waits until it is stored in the spool and in stream_second; async: it "
     "does not",
     into<&Database::ack>},
    {"database", "stream_second", text, "", "", "", false, "", "\"offsite\"",
     "A place (a folder, or a host reached by SFTP) that gets each transaction, encrypted, before "
     "it is acknowledged",
     into<&Database::stream_second>},
    {"database", "seal", duration, "\"1m\"", "", "", false, "", "\"1m\"",
     "What was received goes into every place this often", into<&Database::seal>},
    {"database", "seal_size", size, "\"64MiB\"", "bytes", "", false, "", "\"64MiB\"",
     "And when there is this much of it", into<&Database::seal_size>},
    {"database", "canary", boolean, "false", "", "", false, "", "true",
     "Prove that the stream protects by a small write into the table sevenfold.canary, which "
     "`sevenfold db grants` shows how to make",
     into<&Database::canary>},
    {"database", "places", text_list, "", "", "", false, "", "[\"main\", \"offsite\"]",
     "Names of the places that hold it. Default: all", into<&Database::places>},
    {"database", "tags", text_list, "[]", "", "", false, "", "[\"database\"]", "Tags for its bases",
     into<&Database::tags>},

    {"mirror", "name", text, "", "", "", true, "", "\"uploads-standby\"",
     "A short name, used in commands and reports", into<&Mirror::name>},
    {"mirror", "from", text, "", "", "", true, "", "\"/srv/shop/uploads\"",
     "What is copied: a folder, or sftp:user@host:/folder. A relative folder starts at the "
     "configuration's folder",
     into<&Mirror::from>},
    {"mirror", "to", text, "", "", "", true, "", "\"sftp:standby@web2.example.net:/srv/uploads\"",
     "Where the copy lies: a folder, or sftp:user@host:/folder. Not both ends can be on hosts. "
     "What "
     "else is in this folder is removed",
     into<&Mirror::to>},
    {"mirror", "every", duration, "\"1d\"", "", "", false, "", "\"15m\"",
     "How often it is to be renewed; `status` calls an older one late", into<&Mirror::every>},
    {"mirror", "keep_removed", duration, "\"30d\"", "", "", false, "", "\"30d\"",
     "How long removed and overwritten files stay in .sevenfold-removed at the target",
     into<&Mirror::keep_removed>},
    {"mirror", "max_change", percent, "\"20%\"", "", "", false, "", "\"20%\"",
     "A run that would remove or overwrite more than this part of the target's files stops before "
     "it touches anything; \"100%\" never stops",
     into<&Mirror::max_change>},
    {"mirror", "allow_changes", count, "20", "files", "", false, "", "20",
     "So many files may be removed or overwritten whatever part they are, for small mirrors",
     into<&Mirror::allow_changes>},
    {"mirror", "min_files", count, "1", "files", "", false, "", "100",
     "A source with fewer files than this is taken for empty or not mounted, and the run stops",
     into<&Mirror::min_files>},
    {"mirror", "marker", text, "", "", "", false, "", "\".mounted\"",
     "A file, relative to from, without which the source is taken for not mounted. Without it, a "
     "source folder that was replaced by another one stops the run, too",
     into<&Mirror::marker>},
    {"mirror", "exclude", text_list, "[]", "", "", false, "", "[\"/cache/\", \"*.tmp\"]",
     "What is neither copied nor removed, as rsync's --exclude takes it", into<&Mirror::exclude>},
    {"mirror", "one_file_system", boolean, "false", "", "", false, "", "true",
     "Does not enter other file systems mounted below the source", into<&Mirror::one_file_system>},
    {"mirror", "attributes", boolean, "true", "", "", false, "", "false",
     "Copies extended attributes and ACLs; false where the target's file system has none",
     into<&Mirror::attributes>},
    {"mirror", "ssh_options", text_list, "[]", "", "", false, "",
     "[\"-i\", \"/etc/sevenfold/ssh_key\"]", "More arguments for ssh", into<&Mirror::ssh_options>},

    {"recovery", "rto", duration, "\"3h\"", "", "SEVENFOLD_RTO", false, "", "\"3h\"",
     "How long it may take until everything runs again", into<&RecoverySection::rto>},
    {"recovery", "rpo", duration, "\"1d\"", "", "SEVENFOLD_RPO", false, "", "\"1h\"",
     "How much of the newest data may be lost", into<&RecoverySection::rpo>},

    {"drill", "every", schedule, "\"monthly\"", "", "", false, "weekly|monthly|quarterly",
     "\"monthly\"", "How often recovery is to be rehearsed", into<&DrillSection::every>},
};

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (c == '\n')
            out += "\\n";
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\u{:04X}", byte);
        else
            out += c;
    }
    return out + "\"";
}

// The shortest exact form: "15m", "36h", "1d12h".
std::string duration_text(std::chrono::nanoseconds d) {
    struct Unit {
        int64_t ns;
        const char* name;
    };
    constexpr Unit kUnits[] = {{86'400'000'000'000, "d"},
                               {3'600'000'000'000, "h"},
                               {60'000'000'000, "m"},
                               {1'000'000'000, "s"},
                               {1'000'000, "ms"}};
    std::string out;
    int64_t rest = d.count();
    for (const Unit& unit : kUnits) {
        if (rest / unit.ns > 0) out += fmt::format("{}{}", rest / unit.ns, unit.name);
        rest %= unit.ns;
    }
    return out.empty() ? "0s" : out;
}

std::string size_text(int64_t bytes) {
    constexpr const char* kUnits[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < std::size(kUnits)) {
        bytes /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{}", bytes) : fmt::format("\"{}{}\"", bytes, kUnits[unit]);
}

}  // namespace

std::string_view describe(OptionType type) {
    switch (type) {
        case text:
            return "a text in quotes";
        case text_list:
            return "a list of texts, [\"a\", \"b\"]";
        case boolean:
            return "true or false";
        case count:
            return "a whole number, 0 or more";
        case counter:
            return "a whole number, 0 or more, or \"all\"";
        case duration:
            return "a duration like \"15m\", \"1h30m\" or \"14d\"";
        case span:
            return "a calendar span like \"14d\", \"6m\" (months) or \"1y6m\"";
        case size:
            return "a size like \"16MiB\", or a number of bytes";
        case schedule:
            return "a calendar word like \"monthly\"";
        case by_kind:
            return "a text in quotes, or a table of data, trees, index, snapshots and keys";
        case percent:
            return "a percentage from \"0%\" to \"100%\"";
    }
    return "";
}

std::string_view short_name(OptionType type) {
    constexpr std::string_view kNames[] = {"text",   "list of texts", "boolean",       "number",
                                           "number", "duration",      "calendar span", "size",
                                           "text",   "text or table", "percentage"};
    return kNames[static_cast<size_t>(type)];
}

// "a=x,b=y" as { a = "x", b = "y" }.
static std::string toml_table(std::string_view text) {
    std::string out = "{";
    while (!text.empty()) {
        size_t comma = std::min(text.find(','), text.size());
        std::string_view part = text.substr(0, comma);
        size_t equals = std::min(part.find('='), part.size() - 1);
        out += fmt::format("{} {} = {}", out.size() > 1 ? "," : "", part.substr(0, equals),
                           toml_text(std::string(part.substr(equals + 1))));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return out + " }";
}

std::string to_toml(OptionType type, const Value& value) {
    if (auto* d = std::get_if<std::chrono::nanoseconds>(&value))
        return toml_text(duration_text(*d));
    if (auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
    if (auto* s = std::get_if<std::string>(&value))
        return type == by_kind && s->find('=') != s->npos ? toml_table(*s) : toml_text(*s);
    if (auto* n = std::get_if<int64_t>(&value)) {
        if (type == size) return size_text(*n);
        if (type == percent) return fmt::format("\"{}%\"", *n);
        if (type == counter && *n == kKeepAll) return "\"all\"";
        return fmt::format("{}", *n);
    }
    std::string out = "[";
    for (const std::string& item : std::get<std::vector<std::string>>(value))
        out += (out.size() > 1 ? ", " : "") + toml_text(item);
    return out + "]";
}

std::span<const Section> sections() { return kSections; }

const Section* find_section(std::string_view name) {
    for (const Section& section : kSections)
        if (section.name == name) return &section;
    return nullptr;
}

std::span<const Option> all_options() { return kOptions; }

std::vector<const Option*> options_of(std::string_view section) {
    std::vector<const Option*> found;
    for (const Option& option : kOptions)
        if (option.section == section) found.push_back(&option);
    return found;
}

}  // namespace sevenfold::config
