// db grants: the accounts that are needed, as SQL, and whether those in use are as narrow.
#include "cli/commands.h"
#include "cli/db_context.h"
#include "core/log.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string database, user = "sevenfold", host = "localhost", system_user;
    std::vector<std::string> features;
    bool test = false;
};

int print_statements(Context& context, const config::DatabaseConfig& database,
                     const Options& options, const std::vector<std::string>& features) {
    auto driver = database::make_driver(database.driver, {});
    for (const std::string& statement :
         driver->grant_statements({features, options.user, options.host, options.system_user,
                                   database.databases, database.canary})) {
        context.terminal().print(statement + (statement.ends_with(';') ? "" : ";"));
        context.terminal().json(JsonObject().set("type", "statement").set("sql", statement));
    }
    return 0;
}

int test(Context& context, const config::DatabaseConfig& database,
         const std::vector<std::string>& features) {
    auto driver = protect::open_database(database);
    Terminal& terminal = context.terminal();
    bool good = true;
    for (const std::string& feature : features) {
        auto report = driver->check_account(feature, database.canary);
        good = good && report.sufficient && report.minimal;
        terminal.print(fmt::format(
            "{}: {} {}", terminal.styled(Style::bold, feature), printable(report.account),
            !report.sufficient ? terminal.styled(Style::red, "lacks rights")
            : report.minimal   ? terminal.styled(Style::green, "has what it needs and no more")
                               : terminal.styled(Style::yellow, "has more than it needs")));
        JsonArray rights;
        for (const auto& right : report.rights) {
            rights.add(JsonObject()
                           .set("state", right.state)
                           .set("right", right.right)
                           .set("detail", right.detail));
            if (right.state == "present") continue;
            terminal.print(fmt::format("    {} {}: {}", right.state, printable(right.right),
                                       printable(right.detail)));
        }
        terminal.json(JsonObject()
                          .set("type", "account")
                          .set("feature", feature)
                          .set("account", report.account)
                          .set("sufficient", report.sufficient)
                          .set("minimal", report.minimal)
                          .set("rights", rights));
    }
    return good ? 0 : exit_code(ErrorKind::rule);
}

int grants(Context& context, const Options& options) {
    const config::DatabaseConfig& database = context.config().database(options.database);
    std::vector<std::string> features = options.features;
    if (features.empty()) {
        features = {"dump"};
        if (database.host.empty() && database.method != "logical") features.push_back("physical");
        if (database.stream) features.push_back("stream");
    }
    return options.test ? test(context, database, features)
                        : print_statements(context, database, options, features);
}

}  // namespace

void add_db_grants(CommandTree& db) {
    auto options = std::make_shared<Options>();
    db.command(
          "grants", "Print the accounts that are needed, with no right too many; or test them.",
          "sevenfold db grants\n"
          "sevenfold db grants --test    uses each account; exit code 20 when one is not right")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .option("--feature", options->features, "NAME",
                "dump, physical, stream or replay (default: those that the configuration uses)")
        .flag("--test", options->test, "log in as the configured accounts and try")
        .option("--user", options->user, "NAME", "how their names begin (default: sevenfold)")
        .option("--from-host", options->host, "HOST", "where they log in from (default: localhost)")
        .option("--system-user", options->system_user, "NAME",
                "no password: this user of the system, over the socket")
        .run([options](Context& context) { return grants(context, *options); });
}

}  // namespace sevenfold::cli
