#include "config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/internal/parse.h"
#include "config/suggest.h"

namespace sevenfold::config {
namespace {

constexpr size_t kLargestFile = 4 << 20;

std::string read_text(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        throw Error(ErrorKind::config, fmt::format("{} is a folder, not a configuration", path));
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        Error reason = errno_error(fmt::format("read configuration {}", path));
        throw Error(ErrorKind::config, reason.message(),
                    "Make one with `sevenfold init`, or name another with -c FILE.");
    }
    std::string text(kLargestFile + 1, 0);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > kLargestFile || file.bad())
        throw Error(ErrorKind::config, fmt::format("{} is too large or unreadable", path));
    return text;
}

template <class T>
const T* find_named(const std::vector<T>& items, std::string_view name) {
    for (const T& item : items)
        if (item.name == name) return &item;
    return nullptr;
}

template <class T>
const T& named(const std::vector<T>& items, std::string_view name, const char* what) {
    if (const T* found = find_named(items, name)) return *found;
    std::vector<std::string> known;
    for (const T& item : items) known.push_back(item.name);
    auto near = nearest(name, known);
    throw Error(ErrorKind::usage, fmt::format("unknown {} '{}'", what, name),
                near ? fmt::format("Did you mean `{}`?", *near)
                     : fmt::format("The configuration has: {}.", fmt::join(known, ", ")));
}

}  // namespace

bool KeepConfig::keeps_everything() const { return *this == KeepConfig{}; }

const PlaceConfig* AppConfig::find_place(std::string_view name) const {
    return find_named(places, name);
}
const FilesConfig* AppConfig::find_files(std::string_view name) const {
    return find_named(files, name);
}
const PlaceConfig& AppConfig::place(std::string_view name) const {
    return named(places, name, "place");
}
const DatabaseConfig* AppConfig::find_database(std::string_view name) const {
    return find_named(databases, name);
}
const FilesConfig& AppConfig::source(std::string_view name) const {
    return named(files, name, "source");
}
std::vector<SourceConfig> AppConfig::sources(const std::vector<std::string>& names) const {
    std::vector<SourceConfig> out;
    for (const std::string& name : names)
        if (const DatabaseConfig* found = find_database(name))
            out.push_back({.database = found});
        else
            out.push_back({.files = &source(name)});
    if (!names.empty()) return out;
    for (const FilesConfig& item : files) out.push_back({.files = &item});
    for (const DatabaseConfig& item : databases) out.push_back({.database = &item});
    return out;
}
std::vector<const MirrorConfig*> AppConfig::mirrors_named(
    const std::vector<std::string>& names) const {
    if (mirrors.empty())
        throw Error(ErrorKind::usage, "the configuration has no [[mirror]]",
                    "Add one; `sevenfold config sample` shows how.");
    std::vector<const MirrorConfig*> out;
    for (const std::string& name : names) out.push_back(&named(mirrors, name, "mirror"));
    if (names.empty())
        for (const MirrorConfig& mirror : mirrors) out.push_back(&mirror);
    return out;
}
const DatabaseConfig& AppConfig::database(std::string_view name) const {
    if (name.empty() && databases.size() == 1) return databases[0];
    if (databases.empty())
        throw Error(ErrorKind::usage, "the configuration has no [[database]]",
                    "Add one; `sevenfold config sample` shows how.");
    if (name.empty())
        throw Error(ErrorKind::usage, "several databases: name the one that is meant");
    return named(databases, name, "database");
}

size_t source_count(const AppConfig& config) {
    return config.files.size() + config.databases.size();
}

std::string Problem::text_with_place() const {
    return line > 0 ? fmt::format("{}:{}: {}", file, line, text)
                    : fmt::format("{}: {}", file, text);
}

Environment process_environment() {
    return [](const char* name) { return std::getenv(name); };
}

Inspection inspect_text(std::string_view toml, const std::string& path,
                        const Environment& environment) {
    Inspection inspection;
    inspection.loaded.path = path;
    internal::parse_document(toml, environment, inspection);
    // Half a configuration would only give consequential errors.
    if (inspection.problems.empty()) {
        std::string folder = std::filesystem::absolute(path).parent_path();
        internal::validate(folder, environment, inspection);
    }
    inspection.loaded.path = std::filesystem::absolute(path);
    auto by_line = [](const Problem& a, const Problem& b) { return a.line < b.line; };
    std::stable_sort(inspection.problems.begin(), inspection.problems.end(), by_line);
    std::stable_sort(inspection.loaded.warnings.begin(), inspection.loaded.warnings.end(), by_line);
    return inspection;
}

Inspection inspect(const std::string& path, const Environment& environment) {
    return inspect_text(read_text(path), path, environment);
}

LoadedConfig load(const std::string& path, const Environment& environment) {
    Inspection inspection = inspect(path, environment);
    if (inspection.problems.empty()) return std::move(inspection.loaded);
    const Problem& first = inspection.problems.front();
    std::string hint = first.hint;
    if (inspection.problems.size() > 1)
        hint += fmt::format("{}`sevenfold config check` shows all {} problems.",
                            hint.empty() ? "" : " ", inspection.problems.size());
    throw Error(ErrorKind::config, first.text_with_place(), hint);
}

namespace internal {

void add_problem(Inspection& inspection, int line, std::string text, std::string hint) {
    inspection.problems.push_back({inspection.loaded.path, line, std::move(text), std::move(hint)});
}

void add_warning(Inspection& inspection, int line, std::string text, std::string hint) {
    inspection.loaded.warnings.push_back(
        {inspection.loaded.path, line, std::move(text), std::move(hint)});
}

int line_of(const Inspection& inspection, std::string_view section, std::string_view key,
            int otherwise) {
    for (const Setting& setting : inspection.loaded.settings)
        if (setting.section == section && setting.key == key && setting.line > 0)
            return setting.line;
    return otherwise;
}

}  // namespace internal
}  // namespace sevenfold::config
