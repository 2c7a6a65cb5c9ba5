// db undo, db conflicts, db diff, db export: taking back, and looking at the past.
#include <unistd.h>

#include "cli/commands.h"
#include "cli/db_context.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/units.h"
#include "os/file.h"
#include "protect/passwords.h"

namespace sevenfold::cli {
namespace {

using Kind = database::ReplayRequest::Until::Kind;

struct UndoOptions {
    std::string database, gtid, user, password_file;
    bool apply = false, leave_out_cascades = false;
};

// The server as it was just before the transaction, for rows that foreign keys' rules took away.
std::unique_ptr<protect::PastServer> just_before(Context& context, DbContext& db,
                                                 const std::string& gtid) {
    protect::DatabaseRestoreOptions restore;
    restore.until = {.kind = Kind::before, .transaction = gtid};
    restore.users = false;
    restore.stop = context.stop();
    context.terminal().note("rows were taken away by foreign keys: restoring " +
                            printable(db.database().name) + " to just before, to look them up");
    return std::make_unique<protect::PastServer>(context.config(), db.database(), db.places(),
                                                 restore);
}

// The account that takes it back: not the one that reads.
database::ServerLogin writer_of(const config::DatabaseConfig& database,
                                const UndoOptions& options) {
    database::ServerLogin login = protect::login_of(database, database.account);
    login.user = options.user;
    login.password = options.password_file.empty()
                         ? Secret()
                         : protect::read_password(protect::PasswordSource{options.password_file, "",
                                                                          "the writing account"});
    return login;
}

int undo(Context& context, const UndoOptions& options) {
    if (options.apply && options.user.empty())
        throw Error(ErrorKind::usage, "--apply needs --user: an account that may write",
                    "The backup account must not be able to.");
    DbContext db(context, options.database);
    Terminal& terminal = context.terminal();
    protect::DatabaseHistory history = db.history();
    history.timeline->find(options.gtid);  // not_found before anything else
    database::ServerLogin server = protect::login_of(db.database(), db.database().account);
    print_conflicts(terminal, options.gtid, history.timeline->conflicts(options.gtid, server));
    std::unique_ptr<database::UndoScript> script;
    try {
        script = history.timeline->undo(options.gtid, server, nullptr, options.leave_out_cascades);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::refused) throw;
        log_debug("{}", error.message());
        auto past = just_before(context, db, options.gtid);
        auto login = past->login();
        script = history.timeline->undo(options.gtid, server, &login, false);
    }
    for (const std::string& note : script->notes()) terminal.note("note: " + printable(note));
    if (options.apply) script->apply(writer_of(db.database(), options));
    terminal.json(JsonObject()
                      .set("type", "undo")
                      .set("gtid", options.gtid)
                      .set("statements", script->statements())
                      .set("script", script->text())
                      .set("applied", options.apply));
    if (options.apply) {
        terminal.print(fmt::format("{} {}: {} statements, each hit the rows it was meant for",
                                   terminal.styled(Style::green, "undone"), printable(options.gtid),
                                   format_count(script->statements())));
        return 0;
    }
    terminal.print(script->text());
    terminal.note(
        "Nothing was changed. Read it, then run it with --apply --user NAME, or give "
        "it to the mariadb client.");
    return 0;
}

struct DiffOptions {
    std::string database, table, from, to, place;
    std::vector<std::string> key;
    uint64_t limit = 100;
};

int diff(Context& context, const DiffOptions& options) {
    DbContext db(context, options.database);
    protect::DatabaseHistory history = db.history(options.place);
    auto login = db.login();
    std::vector<std::string> key = options.key;
    if (key.empty()) {
        if (!login)
            throw Error(ErrorKind::usage,
                        "the server does not answer: which columns tell rows apart?",
                        "Name them with --key.");
        key = database::make_driver(db.database().driver, {})->key_columns(*login, options.table);
    }
    protect::TableDifference found = protect::diff_table(
        *history.timeline, options.table, key, options.from, options.to, login ? &*login : nullptr);
    Terminal& terminal = context.terminal();
    Table table(
        {{""}, {"row"}, {"column"}, {"before", Column::left, true}, {"after", Column::left, true}});
    size_t shown = 0;
    for (const protect::RowDifference& row : found.rows) {
        if (++shown > options.limit) break;
        std::string name = fmt::format("{}", fmt::join(row.key, ","));
        bool gone = std::ranges::none_of(row.values, [](auto& v) { return v.after.has_value(); });
        bool made = std::ranges::none_of(row.values, [](auto& v) { return v.before.has_value(); });
        Style style = gone ? Style::red : made ? Style::green : Style::yellow;
        JsonObject values;
        std::string mark = gone ? "-" : made ? "+" : "~";
        for (const auto& value : row.values) {
            if (value.before == value.after) continue;
            table.row({Cell(mark, style), name, value.column, value.before.value_or(""),
                       Cell(value.after.value_or(""), style)});
            mark = name = "";
            values.set(value.column, before_and_after(value));
        }
        terminal.json(JsonObject()
                          .set("type", "row")
                          .set("key", JsonArray::of(row.key))
                          .set("values", values));
    }
    table.print(terminal);
    terminal.print(fmt::format("{} rows differ ({} changes in {} transactions)",
                               format_count(found.rows.size()), format_count(found.changes),
                               format_count(found.transactions)));
    if (found.ddl) log_warning("the table's form changed in between: columns may not match");
    if (shown > options.limit)
        terminal.print(fmt::format("{} of them are shown; --limit shows more", options.limit));
    return 0;
}

struct ExportOptions {
    std::string database, table, at, file, format = "tsv", place;
};

int export_table(Context& context, const ExportOptions& options) {
    DbContext db(context, options.database);
    if (options.format != "tsv" && options.format != "sql")
        throw Error(ErrorKind::usage, "--format: tsv or sql");
    protect::DatabaseRestoreOptions restore;
    restore.users = false;
    restore.place = options.place;
    restore.stop = context.stop();
    if (!options.at.empty()) restore.until = parse_moment(options.at, "--at");
    protect::PastServer past(context.config(), db.database(), db.places(), restore);
    auto driver = database::make_driver(db.database().driver, {});
    uint64_t rows = 0;
    if (options.file.empty()) {
        rows = driver->export_table(
            past.login(), options.table, options.format,
            [](ByteView bytes) { os::write_all(STDOUT_FILENO, bytes, "standard output"); });
    } else {
        os::AtomicFile file(options.file);
        rows = driver->export_table(past.login(), options.table, options.format,
                                    [&](ByteView bytes) { file.write(bytes); });
        file.commit(0600);
    }
    context.terminal().note(fmt::format("{} rows of {} as of GTID {}", format_count(rows),
                                        printable(options.table), past.how().reached));
    return 0;
}

}  // namespace

void add_db_undo(CommandTree& db) {
    auto options = std::make_shared<UndoOptions>();
    db.command("undo", "Take one transaction back: prints reviewed SQL, or runs it.",
               "sevenfold db undo 0-1-4711                          what would be done\n"
               "sevenfold db undo 0-1-4711 --apply --user admin     in one transaction, checked")
        .argument("GTID", options->gtid, "the transaction")
        .option("--database", options->database, "NAME", "its name (default: the only one)")
        .flag("--apply", options->apply, "run it")
        .option("--user", options->user, "NAME", "an account that may write")
        .option("--password-file", options->password_file, "FILE", "its password")
        .flag("--leave-out-cascades", options->leave_out_cascades,
              "do not bring back what foreign keys took away")
        .run([options](Context& context) { return undo(context, *options); });
}

void add_db_diff(CommandTree& db) {
    auto options = std::make_shared<DiffOptions>();
    db.command("diff", "Compare a table at two transactions, row by row.",
               "sevenfold db diff shop.orders 0-1-4700 0-1-4711")
        .argument("TABLE", options->table, "database.table")
        .argument("FROM", options->from, "the state after this transaction")
        .argument("TO", options->to, "the state after this one")
        .option("--database", options->database, "NAME", "its name (default: the only one)")
        .option("--key", options->key, "COLUMN", "columns that tell rows apart")
        .option("--limit", options->limit, "N", "show so many rows (default: 100)")
        .option("--place", options->place, "NAME", "as this place has it")
        .run([options](Context& context) { return diff(context, *options); });
}

void add_db_export(CommandTree& db) {
    auto options = std::make_shared<ExportOptions>();
    db.command("export", "Write a table as it was at a moment.",
               "sevenfold db export shop.orders --at '2026-11-25 14:03' --output orders.tsv")
        .argument("TABLE", options->table, "database.table")
        .option("--at", options->at, "TIME|GTID", "the moment (default: the newest there is)")
        .option("-o,--output", options->file, "FILE", "where to (default: standard output)")
        .option("--format", options->format, "FORMAT", "tsv or sql (default: tsv)")
        .option("--database", options->database, "NAME", "its name (default: the only one)")
        .option("--place", options->place, "NAME", "from this place only")
        .run([options](Context& context) { return export_table(context, *options); });
}

}  // namespace sevenfold::cli
