// stream: the binlog, received and stored as it is written.
#include <mutex>

#include "cli/commands.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/units.h"
#include "protect/stream.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string database;
    bool privileged = false;
};

Style style_of(const std::string& protection) {
    return protection == "armed"      ? Style::green
           : protection == "degraded" ? Style::yellow
                                      : Style::red;
}

void print_state(Terminal& terminal, const database::StreamStatus& status) {
    std::string line = fmt::format("{}  {}{}", to_display(in_local_zone(Clock::system().now())),
                                   terminal.styled(style_of(status.protection), status.protection),
                                   status.reason.empty() ? "" : ": " + printable(status.reason));
    if (status.protection == "armed")
        line += ": every commit that is acknowledged is stored in two places";
    if (status.unprotected_transactions != 0)
        line += fmt::format(" ({} transactions were not protected so far)",
                            format_count(status.unprotected_transactions));
    terminal.print(line);
    terminal.json(JsonObject()
                      .set("type", "state")
                      .set("protection", status.protection)
                      .set("reason", status.reason)
                      .set("gtid", status.gtid)
                      .set("transactions", status.transactions)
                      .set("acknowledged", status.acknowledged)
                      .set("unprotected_transactions", status.unprotected_transactions)
                      .set("unprotected_seconds", status.unprotected_seconds));
}

void print_seals(Terminal& terminal, const std::vector<database::LogReceiver::Sealed>& seals) {
    for (const database::LogReceiver::Sealed& seal : seals) {
        if (seal.error) {
            terminal.error(seal.error->message().starts_with("place ")
                               ? *seal.error
                               : seal.error->with_context("place " + seal.place));
        } else if (seal.saved) {
            log_info("place {}: {} of binlog stored", seal.place, format_size(seal.bytes));
        }
        JsonObject line;
        line.set("type", "seal").set("place", seal.place).set("bytes", seal.bytes);
        line.set("saved", seal.saved);
        if (seal.error) line.set("error", seal.error->message());
        terminal.json(line);
    }
}

int stream(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    const config::DatabaseConfig& database = config.database(options.database);
    if (!database.stream)
        throw Error(ErrorKind::config,
                    fmt::format("database {} has no stream = true", database.name),
                    "Set it in the configuration, and look at `sevenfold stream check` first.");
    std::mutex mutex;  // the terminal's
    protect::StreamEvents events;
    events.on_state = [&](const database::StreamStatus& status) {
        std::lock_guard lock(mutex);
        print_state(context.terminal(), status);
    };
    events.on_gap = [&](const std::string& reason) {
        std::lock_guard lock(mutex);
        log_error(
            "gap in the stream: {}; a new base is needed: the next `sevenfold backup {}` "
            "makes one",
            reason, database.name);
        context.terminal().json(JsonObject().set("type", "gap").set("reason", reason));
    };
    events.on_seal = [&](const std::vector<database::LogReceiver::Sealed>& seals) {
        std::lock_guard lock(mutex);
        print_seals(context.terminal(), seals);
    };
    context.terminal().note(
        fmt::format("receiving the binlog of {}; Ctrl-C stops", printable(database.name)));
    protect::run_stream(config, database, {.allow_privileged = options.privileged}, events,
                        context.stop());
    return 0;
}

int check(Context& context, const Options& options) {
    const config::DatabaseConfig& database = context.config().database(options.database);
    auto findings = protect::open_database(database)->check_stream();
    Terminal& terminal = context.terminal();
    bool serious = false;
    for (const database::StreamFinding& finding : findings) {
        serious = serious || finding.serious;
        terminal.print(fmt::format("{} {} = {}: {}",
                                   terminal.styled(finding.serious ? Style::red : Style::yellow,
                                                   finding.serious ? "unsafe" : "advice"),
                                   finding.name, printable(finding.value), finding.why));
        terminal.print("    " + finding.fix);
        terminal.json(JsonObject()
                          .set("type", "finding")
                          .set("serious", finding.serious)
                          .set("name", finding.name)
                          .set("value", finding.value)
                          .set("why", finding.why)
                          .set("fix", finding.fix));
    }
    if (findings.empty())
        terminal.print("the server is set up as the stream needs it");
    else
        terminal.print(
            "SET GLOBAL lasts until the server restarts: put the same into its option "
            "file.");
    return serious ? exit_code(ErrorKind::rule) : 0;
}

int status(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    const config::DatabaseConfig& database = config.database(options.database);
    auto status =
        database::stored_stream_status(database.driver, protect::spool_folder(config, database));
    Terminal& terminal = context.terminal();
    if (!status) {
        terminal.print("no stream has run here");
        return exit_code(ErrorKind::rule);
    }
    print_state(terminal, *status);
    terminal.print(fmt::format("received {} transactions, {}; up to GTID {}",
                               format_count(status->transactions), format_size(status->bytes),
                               printable(status->gtid)));
    terminal.print(fmt::format(
        "acknowledged {}; unprotected {} in {:.0f} s", format_count(status->acknowledged),
        format_count(status->unprotected_transactions), status->unprotected_seconds));
    for (const std::string& gap : status->gaps) terminal.print("gap: " + printable(gap));
    return status->protection == "broken" ? exit_code(ErrorKind::rule) : 0;
}

}  // namespace

void add_stream(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    CommandTree group = tree.group("stream", "Receive a database's binlog without a pause.",
                                   "sevenfold stream check    is the server set up for it?\n"
                                   "sevenfold stream run      in the foreground, until stopped");
    group
        .command("run",
                 "Receive the binlog, acknowledge what is stored, keep all places up to date.",
                 "sevenfold stream run\n"
                 "sevenfold stream run main --json")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .flag("--allow-privileged", options->privileged,
              "use an account that may change data or grant rights")
        .run([options](Context& context) { return stream(context, *options); });
    group
        .command("check", "Print what the server's settings should be, as exact statements.",
                 "sevenfold stream check     exit code 20 when acknowledged commits could be lost")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .run([options](Context& context) { return check(context, *options); });
    group
        .command("status", "Show how protected the newest transactions are.",
                 "sevenfold stream status    exit code 20 when nothing is received")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .run([options](Context& context) { return status(context, *options); });
}

}  // namespace sevenfold::cli
