// config show | check | sample | manual
#include "config/config.h"

#include "cli/commands.h"
#include "cli/table.h"
#include "config/document.h"
#include "core/log.h"
#include "os/file.h"

namespace sevenfold::cli {
namespace {

std::string origin_of(const config::LoadedConfig& loaded, const config::Setting& setting) {
    if (setting.line == 0) return setting.origin;
    return fmt::format("{}:{}", loaded.path.substr(loaded.path.rfind('/') + 1), setting.line);
}

int show(Context& context) {
    const config::LoadedConfig& loaded = context.loaded();
    Terminal& terminal = context.terminal();
    terminal.print(terminal.styled(Style::dim, "# " + printable(loaded.path)));
    Table table({{"setting"}, {"value", Column::left, true}, {"from"}});
    std::string section;
    for (const config::Setting& setting : loaded.settings) {
        std::string name = fmt::format("{}.{}", setting.section, setting.key);
        std::string origin = origin_of(loaded, setting);
        table.row({name, setting.value, {origin, origin == "default" ? Style::dim : Style::plain}});
        terminal.json(JsonObject()
                          .set("type", "setting")
                          .set("section", setting.section)
                          .set("key", setting.key)
                          .set("value", setting.value)
                          .set("origin", setting.line > 0 ? "file" : setting.origin)
                          .set("line", setting.line));
    }
    table.print(terminal);
    return 0;
}

void report(Terminal& terminal, const char* what, Style style, const config::Problem& problem) {
    terminal.print(fmt::format("{} {}", terminal.styled(style, std::string(what) + ":"),
                               printable(problem.text_with_place())));
    if (!problem.hint.empty())
        terminal.print(
            fmt::format("  {} {}", terminal.styled(Style::cyan, "hint:"), printable(problem.hint)));
    JsonObject object;
    object.set("type", "problem").set("severity", what).set("file", problem.file);
    object.set("line", problem.line).set("message", problem.text).set("hint", problem.hint);
    terminal.json(object);
}

// A password file that is missing is found here rather than in the middle of the night.
void check_password_files(config::Inspection& inspection) {
    for (const config::PlaceConfig& place : inspection.loaded.config.places)
        if (!place.password_file.empty() && !os::path_exists(place.password_file))
            inspection.problems.push_back(
                {inspection.loaded.path, place.line,
                 fmt::format("the password file of place {} does not exist ({})", place.name,
                             place.password_file),
                 "Bring it back from where you keep it; without it the place cannot be opened."});
}

int check(Context& context) {
    Terminal& terminal = context.terminal();
    config::Inspection inspection = config::inspect(context.config_path());
    if (inspection.problems.empty()) check_password_files(inspection);
    for (const config::Problem& problem : inspection.problems)
        report(terminal, "error", Style::red, problem);
    for (const config::Problem& warning : inspection.loaded.warnings)
        report(terminal, "warning", Style::yellow, warning);
    const config::AppConfig& config = inspection.loaded.config;
    const bool good = inspection.problems.empty();
    auto count = [](size_t n, const char* what) {
        return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
    };
    size_t warnings = inspection.loaded.warnings.size();
    if (good)
        terminal.print(fmt::format("{} is right: {}, {}{}", printable(inspection.loaded.path),
                                   count(config::source_count(config), "source"),
                                   count(config.places.size(), "place"),
                                   warnings == 0 ? "" : ", " + count(warnings, "warning")));
    terminal.json(JsonObject()
                      .set("type", "summary")
                      .set("ok", good)
                      .set("errors", inspection.problems.size())
                      .set("warnings", inspection.loaded.warnings.size()));
    return good ? 0 : exit_code(ErrorKind::config);
}

Action print_text(std::string (*make)()) {
    return [make](Context& context) {
        std::string text = make();
        if (text.ends_with('\n')) text.pop_back();
        context.terminal().print(text);
        context.terminal().json(JsonObject().set("type", "text").set("text", text));
        return 0;
    };
}

}  // namespace

void add_config(CommandTree& tree) {
    CommandTree group = tree.group("config", "Show and check the configuration.",
                                   "sevenfold config check\n"
                                   "sevenfold config show");
    group
        .command("show", "Print every effective value and where it came from.",
                 "sevenfold config show\n"
                 "sevenfold config show --json")
        .run(show);
    group
        .command("check", "Report everything that is wrong with the configuration.",
                 "sevenfold config check\n"
                 "sevenfold -c new.toml config check")
        .run(check);
    group
        .command("sample", "Print a commented example.", "sevenfold config sample > sevenfold.toml")
        .run(print_text(config::sample_config));
    group.hidden_command("manual", "Print the manual page of the configuration.")
        .run(print_text(config::manual_page));
}

}  // namespace sevenfold::cli
