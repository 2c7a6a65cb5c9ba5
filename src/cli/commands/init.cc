// init: a configuration, passwords and repositories, asked for or given by flags.
#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/place_setup.h"
#include "config/document.h"
#include "core/log.h"
#include "os/file.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string name, every;
    std::vector<std::string> sources, places, team;
    bool force = false, yes = false, repositories = false;
};

struct NewSource {
    std::string name, path;
};
struct NewPlace {
    std::string name, domain, url;
};
struct Answers {
    std::string app_name, every;
    std::vector<NewSource> sources;
    std::vector<NewPlace> places;
};

// A name from a folder: "uploads" from "/srv/shop/Uploads!/".
std::string name_from(const std::string& path, const std::string& otherwise) {
    std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
    if (folder.filename().empty()) folder = folder.parent_path();
    std::string out;
    for (char c : folder.filename().string()) {
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
        if (good && !(out.empty() && (c == '-' || c == '.'))) out += c;
    }
    return out.empty() ? otherwise : out.substr(0, 64);
}

// "[NAME=]PATH"; a path with = in it needs a name before it.
NewSource parse_source(const std::string& text) {
    size_t equals = text.find('=');
    std::string path = equals == text.npos ? text : text.substr(equals + 1);
    if (path.empty())
        throw Error(ErrorKind::usage, fmt::format("--source '{}' names no folder", text),
                    "Write --source /srv/uploads or --source uploads=/srv/uploads.");
    std::string full = std::filesystem::absolute(path).lexically_normal();
    return {equals == text.npos ? name_from(path, "files") : text.substr(0, equals), full};
}

// "NAME[@DOMAIN]=URL". A folder is taken from where we are, not from where the file will be.
NewPlace parse_place(const std::string& text) {
    size_t equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size())
        throw Error(ErrorKind::usage, fmt::format("--place '{}' has no name or no URL", text),
                    "Write --place main=/srv/backup or --place "
                    "offsite@hetzner=sftp:user@host:/backup.");
    std::string name = text.substr(0, equals), url = text.substr(equals + 1), domain;
    if (size_t at = name.find('@'); at != name.npos) {
        domain = name.substr(at + 1);
        name.resize(at);
    }
    if (auto path = config::local_path(url))
        url = std::filesystem::absolute(*path).lexically_normal();
    return {name, domain, url};
}

Answers from_flags(const Options& options) {
    Answers answers{.app_name = options.name, .every = options.every, .sources = {}, .places = {}};
    for (const std::string& text : options.sources) answers.sources.push_back(parse_source(text));
    for (const std::string& text : options.places) answers.places.push_back(parse_place(text));
    return answers;
}

void ask_for_places(Context& context, Answers& answers) {
    Terminal& terminal = context.terminal();
    terminal.note(
        "Places: where copies are kept. A folder (/mnt/disk/backup) or "
        "sftp:user@host:/folder.\nUse at least two that cannot fail together; an empty answer ends "
        "the list.");
    for (;;) {
        size_t number = answers.places.size() + 1;
        std::string url = terminal.ask(fmt::format("place {}", number), "", context.stop());
        if (url.empty() && !answers.places.empty()) return;
        if (url.empty()) continue;
        std::string preset = number == 1   ? "main"
                             : number == 2 ? "offsite"
                                           : fmt::format("place{}", number);
        std::string name = terminal.ask("  its name", preset, context.stop());
        std::string domain =
            terminal.ask("  vendor or building it belongs to", name, context.stop());
        answers.places.push_back(parse_place(name + "@" + domain + "=" + url));
    }
}

void ask_for_the_rest(Context& context, Answers& answers) {
    Terminal& terminal = context.terminal();
    if (answers.app_name.empty())
        answers.app_name =
            terminal.ask("name of the application", name_from(".", "app"), context.stop());
    if (answers.sources.empty()) {
        terminal.note("Folders with the users' files; an empty answer ends the list.");
        for (;;) {
            std::string path = terminal.ask("folder", "", context.stop());
            if (path.empty() && !answers.sources.empty()) break;
            if (!path.empty()) answers.sources.push_back(parse_source(path));
        }
    }
    if (answers.every.empty())
        answers.every = terminal.ask("how often are they to be saved", "1h", context.stop());
    if (answers.places.empty()) ask_for_places(context, answers);
}

void complete(Context& context, const Options& options, Answers& answers) {
    if (!options.yes && context.terminal().can_ask()) ask_for_the_rest(context, answers);
    if (answers.app_name.empty()) answers.app_name = name_from(".", "app");
    if (answers.every.empty()) answers.every = "1h";
    if (answers.sources.empty() || answers.places.empty())
        throw Error(ErrorKind::usage,
                    answers.sources.empty() ? "no folder to protect given" : "no place given",
                    "Use --source NAME=FOLDER and --place NAME@DOMAIN=URL, or run it on a terminal "
                    "to be asked.");
}

std::string to_toml(const Answers& answers, const std::vector<std::string>& team) {
    using config::toml_quote;
    std::vector<config::SectionValues> sections;
    config::SectionValues app{"app", {{"name", toml_quote(answers.app_name)}}};
    if (!team.empty()) app.values.emplace_back("team", config::toml_list(team));
    sections.push_back(app);
    for (const NewPlace& place : answers.places) {
        config::SectionValues section{
            "place", {{"name", toml_quote(place.name)}, {"url", toml_quote(place.url)}}};
        if (!place.domain.empty()) section.values.emplace_back("domain", toml_quote(place.domain));
        section.values.emplace_back("password_file",
                                    toml_quote("secrets/" + place.name + ".password"));
        sections.push_back(section);
    }
    for (const NewSource& source : answers.sources)
        sections.push_back({"files",
                            {{"name", toml_quote(source.name)},
                             {"path", toml_quote(source.path)},
                             {"every", toml_quote(answers.every)},
                             {"keep",
                              "{ last = 4, hourly = 48, daily = 30, weekly = 8, "
                              "monthly = 12 }"}}});
    return config::write_config(sections);
}

std::string new_config_path(Context& context) {
    if (!context.global().config_file.empty()) return context.global().config_file;
    const char* named = std::getenv("SEVENFOLD_CONFIG");
    return named != nullptr && *named != 0 ? named : "sevenfold.toml";
}

// What would be refused later is refused now, before a file is written.
config::LoadedConfig checked(const std::string& text, const std::string& path) {
    config::Inspection inspection = config::inspect_text(text, path);
    if (!inspection.problems.empty())
        throw Error(ErrorKind::config, inspection.problems[0].text, inspection.problems[0].hint);
    for (const config::Problem& warning : inspection.loaded.warnings)
        log_warning("{}", warning.text);
    return std::move(inspection.loaded);
}

void print_what_to_keep(Terminal& terminal, const config::LoadedConfig& loaded) {
    terminal.print("\n" + terminal.styled(Style::bold, "Keep these somewhere else, too") +
                   " (a password manager, paper in a safe), and not only on this machine:");
    terminal.print("  " + printable(loaded.path));
    terminal.json(JsonObject().set("type", "keep").set("file", loaded.path));
    for (const config::PlaceConfig& place : loaded.config.places) {
        if (place.password_file.empty()) continue;
        terminal.print(fmt::format("  {}    opens {}", printable(place.password_file), place.name));
        terminal.json(JsonObject()
                          .set("type", "keep")
                          .set("file", place.password_file)
                          .set("place", place.name));
    }
    const config::PlaceConfig& first = loaded.config.places[0];
    terminal.print(fmt::format(
        "Whoever has a place and its password can bring everything back, without this program:\n"
        "  restic -r '{}' -p '{}' restore latest --target /tmp/back\n"
        "Without the password a place is worth nothing.",
        printable(config::redacted(first.url)), printable(first.password_file)));
    terminal.print("\nNext: sevenfold backup");
}

int init(Context& context, const Options& options) {
    Terminal& terminal = context.terminal();
    if (options.repositories) {
        set_up_places(context, context.loaded());
        return 0;
    }
    const std::string path = std::filesystem::absolute(new_config_path(context)).lexically_normal();
    if (os::path_exists(path) && !options.force)
        throw Error(ErrorKind::exists, fmt::format("{} exists already", path),
                    "Use --repositories to create what repositories are missing, or --force to "
                    "write a new file in its place.");
    Answers answers = from_flags(options);
    complete(context, options, answers);
    const std::string text = to_toml(answers, options.team);
    config::LoadedConfig loaded = checked(text, path);
    // Passwords come first: a repository whose password was lost would be worth nothing.
    os::make_dirs(os::parent_dir(path), 0755);
    make_password_files(context, loaded.config);
    os::write_file_atomically(path, as_bytes(text), 0600);
    terminal.print("wrote " + printable(path));
    terminal.json(JsonObject().set("type", "config").set("path", path));
    try {
        set_up_places(context, loaded);
    } catch (const Error& error) {
        throw error.with_hint(fmt::format(
            "{}{}Then run `sevenfold init --repositories`; the configuration is written.",
            error.hint(), error.hint().empty() ? "" : " "));
    }
    print_what_to_keep(terminal, loaded);
    return 0;
}

}  // namespace

void add_init(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("init", "Set up: write a configuration, make passwords, create repositories.",
                 "sevenfold init                              asks\n"
                 "sevenfold init --name shop --source uploads=/srv/shop/uploads \\\n"
                 "    --place main@office=/mnt/backup \\\n"
                 "    --place offsite@hetzner=sftp:backup@vault.example.net:/srv/shop\n"
                 "sevenfold init --repositories               create what repositories are missing")
        .option("--name", options->name, "NAME", "name of the application (default: this folder's)")
        .option("--source", options->sources, "[NAME=]DIR", "a folder to protect; several times")
        .option(
            "--place", options->places, "NAME[@DOMAIN]=URL",
            "a place that keeps copies, and the vendor or building it belongs to; several times")
        .option("--every", options->every, "DURATION", "how often to save (default: 1h)")
        .option("--team", options->team, "MAIL", "who rehearses recovery in turn; several times")
        .flag("-y,--yes", options->yes, "ask nothing")
        .flag("--force", options->force, "replace an existing configuration (never a password)")
        .flag("--repositories", options->repositories,
              "only create the missing repositories of the existing configuration")
        .run([options](Context& context) { return init(context, *options); });
}

}  // namespace sevenfold::cli
