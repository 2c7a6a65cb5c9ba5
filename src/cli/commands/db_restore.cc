// db restore: a database as it was at a moment, or as it would be without some transactions.
#include "cli/commands.h"
#include "cli/db_context.h"
#include "cli/progress_display.h"
#include "core/log.h"
#include "core/units.h"
#include "os/file.h"
#include "protect/database_restore.h"
#include "protect/passwords.h"
#include "protect/places.h"
#include "protect/skip_preview.h"

namespace sevenfold::cli {
namespace {

using Kind = database::ReplayRequest::Until::Kind;

struct Options {
    std::string database, to, before, base, place, data_dir, server, server_user,
        server_password_file, memory = "256MiB";
    std::vector<std::string> skip, replace, tables, as;
    bool start = false, no_replay = false, no_users = false, with_dependents = false, yes = false;
};

database::ReplayRequest::Until until_of(const Options& options) {
    if (!options.to.empty() && !options.before.empty())
        throw Error(ErrorKind::usage, "--to and --before exclude each other");
    if (!options.before.empty()) {
        if (!is_gtid(options.before))
            throw Error(ErrorKind::usage, fmt::format("--before {}: not a GTID", options.before),
                        "`sevenfold db timeline` lists them; they look like 0-1-4711.");
        return {.kind = Kind::before, .transaction = options.before};
    }
    return options.to.empty() ? database::ReplayRequest::Until{} : parse_moment(options.to, "--to");
}

std::pair<std::string, std::string> split_at_equals(const std::string& text, const char* option) {
    size_t equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size())
        throw Error(ErrorKind::usage, fmt::format("{} {}: not OLD=NEW", option, text));
    return {text.substr(0, equals), text.substr(equals + 1)};
}

// A socket's path, or a host with an optional port.
database::ServerLogin login_of(const Options& options) {
    database::ServerLogin login;
    login.user = options.server_user;
    if (options.server.starts_with('/')) {
        login.socket = options.server;
    } else {
        size_t colon = options.server.rfind(':');
        login.host = options.server.substr(0, colon);
        login.port = 3306;
        if (colon != options.server.npos)
            login.port = static_cast<uint16_t>(
                std::strtoul(options.server.c_str() + colon + 1, nullptr, 10));
    }
    if (!options.server_password_file.empty())
        login.password = protect::read_password(
            protect::PasswordSource{options.server_password_file, "", "the target server"});
    return login;
}

protect::DatabaseRestoreOptions restore_options(const Options& options,
                                                const config::DatabaseConfig& database) {
    protect::DatabaseRestoreOptions out;
    out.until = until_of(options);
    out.skip = options.skip;
    for (const std::string& gtid : options.skip)
        if (!is_gtid(gtid))
            throw Error(ErrorKind::usage, fmt::format("--skip {}: not a GTID", gtid));
    for (const std::string& item : options.replace) {
        auto [gtid, file] = split_at_equals(item, "--replace");
        out.replace[gtid] = {std::string(as_text(os::read_file(file, 16 << 20)))};
    }
    out.base = options.base;
    out.place = options.place;
    out.base_only = options.no_replay;
    out.tables = options.tables;
    out.leave_running = options.start;
    out.users = !options.no_users;
    for (const std::string& item : options.as) out.rename.insert(split_at_equals(item, "--as"));
    if (auto memory = parse_size(options.memory))
        out.memory = *memory;
    else
        throw Error(ErrorKind::usage, "--memory: not a size", "Write it like 2GiB.");
    const bool folder = !options.data_dir.empty(), named = !options.server.empty();
    if (folder + (named || !options.as.empty()) != 1)
        throw Error(ErrorKind::usage, "restore to where?",
                    "Use --data-dir for a new server, --server for a running one that is empty, or "
                    "--as OLD=NEW for other names beside the present tables.");
    if (folder) {
        if (!options.tables.empty())
            throw Error(ErrorKind::usage, "--tables is for --server and --as");
        out.data_dir = options.data_dir;
        return out;
    }
    auto login = named ? login_of(options) : protect::login_of(database, database.account);
    (options.as.empty() ? out.server : out.beside) = login;
    return out;
}

// Shows what builds on the transactions that are to be left out, and lets a person choose; the
// transactions that are left out in the end.
std::vector<std::string> choose_skipped(Context& context, DbContext& db, const Options& options,
                                        const protect::DatabaseRestoreOptions& job) {
    constexpr const char* kYesMeans =
        "they are replayed as the log has them: rows get the values that they had then, "
        "and a row that is missing stops the replay.";
    Terminal& terminal = context.terminal();
    auto login = db.login();
    if (!login) {
        if (options.yes) return job.skip;
        throw Error(
            ErrorKind::refused,
            "the database's own server does not answer: whether later transactions build on "
            "what is left out cannot be told",
            fmt::format("With --yes {}", kYesMeans));
    }
    protect::DatabaseHistory history = db.history(options.place);
    auto driver = database::make_driver(db.database().driver, {});
    std::vector<std::string> edited = job.skip;
    for (const auto& [gtid, statements] : job.replace) edited.push_back(gtid);
    auto look = [&](bool with_dependents) {
        return protect::preview_skip(*history.timeline, *driver, *login, edited, job.until,
                                     with_dependents);
    };
    auto all_of = [&](const protect::SkipPreview& preview) {
        std::vector<std::string> out;
        for (const auto& skipped : preview.skipped)
            if (!job.replace.contains(skipped.id)) out.push_back(skipped.id);
        return out;
    };
    protect::SkipPreview preview = look(options.with_dependents);
    for (const auto& skipped : preview.skipped) {
        terminal.print(
            fmt::format("{} {}:", job.replace.contains(skipped.id) ? "replacing" : "leaving out",
                        printable(skipped.id)));
        if (skipped.preview.scanned + skipped.preview.rows > 0)
            print_conflicts(terminal, skipped.id, skipped.preview);
    }
    for (const std::string& reason : preview.unknown) terminal.print(printable(reason));
    if ((preview.dependents.empty() && preview.unknown.empty()) || options.yes)
        return all_of(preview);
    std::string problem =
        preview.dependents.empty()
            ? "what builds on what is left out or replaced cannot be told"
            : fmt::format("{} later transactions build on what is left out or replaced",
                          format_count(preview.dependents.size()));
    std::string hint =
        fmt::format("With --with-dependents they are left out, too; with --yes {}", kYesMeans);
    if (!terminal.can_ask()) throw Error(ErrorKind::refused, problem, hint);
    terminal.print(problem);
    std::string answer = terminal.ask("[l]eave them out, too, [r]eplay them as they are, or [s]top",
                                      "s", context.stop());
    if (answer.starts_with('l')) return all_of(look(true));
    if (answer.starts_with('r')) return all_of(preview);
    throw Error(ErrorKind::refused, "stopped; nothing was restored", hint);
}

void print(Terminal& terminal, const protect::DatabaseRestore& done) {
    terminal.print(fmt::format("base {} of {} ({}) from {}", done.base.id.short_hex(),
                               to_display(in_local_zone(done.manifest.consistent_at)), done.method,
                               printable(done.place)));
    if (done.method == "logical")
        terminal.print(
            fmt::format("{} tables, {} rows loaded; {} tables read again and found "
                        "right",
                        format_count(done.loaded.tables), format_count(done.loaded.rows),
                        format_count(done.loaded.verified_tables)));
    for (const std::string& warning : done.loaded.warnings) log_warning("{}", warning);
    if (done.replay)
        terminal.print(fmt::format(
            "{} transactions replayed{} in {}{}", format_count(done.replay->transactions),
            done.replay->edited == 0 ? "" : fmt::format(", {} of them edited", done.replay->edited),
            format_duration(
                std::chrono::nanoseconds(static_cast<int64_t>(done.replay->seconds * 1e9))),
            done.replay->last
                ? "; the last began at " + to_display(in_local_zone(*done.replay->last))
                : ""));
    terminal.print(fmt::format("{} in {}", terminal.styled(Style::green, "restored"),
                               format_duration(std::chrono::nanoseconds(
                                   static_cast<int64_t>(done.seconds * 1e9)))) +
                   (done.reached.empty() ? "" : ", at GTID " + printable(done.reached)));
    if (!done.socket.empty())
        terminal.print(fmt::format("the server runs: process {}, socket {}", done.process,
                                   printable(done.socket)));
}

int restore(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    DbContext db(context, options.database);
    const config::DatabaseConfig& database = db.database();
    protect::DatabaseRestoreOptions job = restore_options(options, database);
    if (!job.skip.empty() || !job.replace.empty())
        job.skip = choose_skipped(context, db, options, job);
    const std::vector<protect::JobPlace>& places = db.places();
    Progress progress;
    job.progress = &progress;
    job.stop = context.stop();
    job.on_step = [&](const std::string& step) { progress.set_current(step); };
    protect::DatabaseRestore done;
    {
        ProgressDisplay display(context.terminal(), progress, "restore " + database.name);
        done = protect::restore_database(config, database, places, job);
    }
    print(context.terminal(), done);
    JsonObject line;
    line.set("message_type", "summary")
        .set("source", database.name)
        .set("place", done.place)
        .set("base", done.base.id.hex())
        .set("method", done.method)
        .set("gtid", done.reached)
        .set("tables", done.loaded.tables)
        .set("rows", done.loaded.rows)
        .set("transactions", done.replay ? done.replay->transactions : 0)
        .set("replay_duration", done.replay ? done.replay->seconds : 0.0)
        .set("total_duration", done.seconds);
    if (!done.socket.empty()) line.set("socket", done.socket).set("process", done.process);
    context.terminal().json(line);
    return 0;
}

}  // namespace

void add_db_restore(CommandTree& db) {
    auto options = std::make_shared<Options>();
    db.command(
          "restore", "Restore a database to any moment, also without a bad transaction.",
          "sevenfold db restore --data-dir /srv/new                       the newest there is\n"
          "sevenfold db restore --to '2026-11-25 14:03' --data-dir /srv/new --start\n"
          "sevenfold db restore --before 0-1-4711 --data-dir /srv/new\n"
          "sevenfold db restore --skip 0-1-4711 --data-dir /srv/new       all but that one\n"
          "sevenfold db restore --to 0-1-4710 --as shop=shop_then         beside the present")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .option("--to", options->to, "TIME|GTID", "up to this moment, or this transaction")
        .option("--before", options->before, "GTID", "up to just before this transaction")
        .option("--skip", options->skip, "GTID", "leave this transaction out")
        .flag("--with-dependents", options->with_dependents,
              "leave out, too, what builds on those transactions")
        .flag("--yes", options->yes, "go on where later transactions build on what is left out")
        .option("--replace", options->replace, "GTID=FILE", "run the file's SQL in its place")
        .option("--data-dir", options->data_dir, "DIR", "make a new data folder")
        .flag("--start", options->start, "leave a server running on it")
        .option("--server", options->server, "SOCKET|HOST", "into a running server that is empty")
        .option("--server-user", options->server_user, "NAME", "the account there")
        .option("--server-password-file", options->server_password_file, "FILE", "its password")
        .option("--as", options->as, "OLD=NEW", "beside the present databases, under a new name")
        .option("--tables", options->tables, "PATTERN", "only these tables (database.table)")
        .option("--place", options->place, "NAME", "from this place only")
        .option("--base", options->base, "ID", "from this base")
        .option("--memory", options->memory, "SIZE", "for the restored server's buffers")
        .flag("--no-replay", options->no_replay, "the base alone")
        .flag("--no-users", options->no_users, "without accounts and grants")
        .run([options](Context& context) { return restore(context, *options); });
}

}  // namespace sevenfold::cli
