#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/internal/checks.h"
#include "config/internal/parse.h"
#include "config/suggest.h"
#include "core/units.h"

namespace sevenfold::config::internal {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSmallestPack = 4 << 20, kLargestPack = 128 << 20;

class Validator {
  public:
    Validator(const std::string& folder, const Environment& environment, Inspection& inspection)
        : folder_(folder),
          environment_(environment),
          inspection_(inspection),
          config_(inspection.loaded.config) {}

    void run() {
        app();
        for (PlaceConfig& place : config_.places) check_place(place);
        duplicate_names(config_.places, "place");
        same_url();
        for (FilesConfig& files : config_.files) check_files(files);
        duplicate_names(config_.files, "files");
        for (DatabaseConfig& database : config_.databases) check_database(database);
        duplicate_names(config_.databases, "database");
        same_source_names();
        for (MirrorConfig& mirror : config_.mirrors) check_mirror(mirror);
        duplicate_names(config_.mirrors, "mirror");
        overlaps();
        mirror_overlaps();
        if (inspection_.problems.empty()) {
            two_places();
            readable_secrets();
        }
    }

  private:
    void problem(int line, std::string text, std::string hint = {}) {
        add_problem(inspection_, line, std::move(text), std::move(hint));
    }
    int line(const PlaceConfig& place, const char* key) const {
        return line_of(inspection_, "place " + place.name, key, place.line);
    }
    int line(const FilesConfig& files, const char* key) const {
        return line_of(inspection_, "files " + files.name, key, files.line);
    }
    int line(const DatabaseConfig& database, const char* key) const {
        return line_of(inspection_, "database " + database.name, key, database.line);
    }
    int line(const MirrorConfig& mirror, const char* key) const {
        return line_of(inspection_, "mirror " + mirror.name, key, mirror.line);
    }
    std::string absolute(const std::string& path) const;
    // Writes the effective value into the settings, where it differs from what stands in the file.
    void effective(const std::string& section, const char* key, const std::string& value);

    void app();
    void check_place(PlaceConfig& place);
    void check_url(PlaceConfig& place);
    void check_s3(PlaceConfig& place, std::string_view scheme);
    void check_password(PlaceConfig& place);
    void check_files(FilesConfig& files);
    void check_bucket(FilesConfig& files);
    // What sources of all kinds have: name, schedule, places, tags.
    template <class Source>
    void check_source(Source& source, const char* kind);
    void check_database(DatabaseConfig& database);
    void check_account(const DatabaseConfig& database, const std::string& prefix,
                       AccountConfig& account);
    void check_stream(const DatabaseConfig& database);
    void same_source_names();
    void check_mirror(MirrorConfig& mirror);
    void check_mirror_end(MirrorConfig& mirror, const char* key, std::string& end);
    void mirror_overlaps();
    void check_keep(const FilesConfig& files);
    template <class T>
    void duplicate_names(const std::vector<T>& items, const char* section);
    void same_url();
    void overlaps();
    void two_places();
    void readable_secrets();

    const std::string& folder_;
    const Environment& environment_;
    Inspection& inspection_;
    AppConfig& config_;
};

std::string Validator::absolute(const std::string& path) const {
    fs::path given(path);
    const char* home = environment_("HOME");
    if (home != nullptr && (path == "~" || path.starts_with("~/")))
        given = fs::path(home) / path.substr(std::min<size_t>(2, path.size()));
    fs::path full = (fs::path(folder_) / given).lexically_normal();
    if (full.filename().empty() && full.has_relative_path()) full = full.parent_path();
    return full;
}

void Validator::effective(const std::string& section, const char* key, const std::string& value) {
    for (Setting& setting : inspection_.loaded.settings)
        if (setting.section == section && setting.key == key) {
            setting.value = to_toml(OptionType::text, value);
            return;
        }
    inspection_.loaded.settings.push_back(
        {section, key, to_toml(OptionType::text, value), "default", 0});
}

void Validator::app() {
    AppSection& app = config_.app;
    int name_line = line_of(inspection_, "app", "name", 0);
    if (!is_good_name(app.name))
        problem(name_line, fmt::format("'{}' cannot be an application's name", app.name),
                "Use letters, digits, dots, dashes and underscores, at most 64.");
    if (app.state_dir.empty())
        app.state_dir = folder_ == "/etc" || folder_.starts_with("/etc/") ? "/var/lib/sevenfold"
                                                                          : folder_ + "/state";
    app.state_dir = absolute(app.state_dir);
    effective("app", "state_dir", app.state_dir);
    if (config_.places.empty())
        problem(0, "no [[place]] to store anything in",
                "Add at least two, with different vendors; `sevenfold config sample` shows how.");
    if (source_count(config_) == 0)
        problem(0, "no [[files]] or [[database]] to protect",  // perhaps the rest of a file that
                                                               // was cut off
                "Add at least one source; `sevenfold config sample` shows how.");
}

void Validator::check_place(PlaceConfig& place) {
    if (!is_good_name(place.name))
        problem(line(place, "name"), fmt::format("'{}' cannot be a place's name", place.name),
                "Use letters, digits, dots, dashes and underscores, at most 64.");
    check_url(place);
    check_password(place);
    if (place.pack_size < kSmallestPack || place.pack_size > kLargestPack)
        problem(line(place, "pack_size"), "pack_size must be from 4MiB to 128MiB");
    if (place.connections > 256) problem(line(place, "connections"), "connections is at most 256");
    effective("place " + place.name, "domain", place.failure_domain());
}

void Validator::check_url(PlaceConfig& place) {
    const std::string section = "place " + place.name;
    if (auto path = local_path(place.url)) {
        check_s3(place, "");
        if (path->empty()) return problem(line(place, "url"), "url is empty");
        place.url = absolute(*path);
        return effective(section, "url", place.url);
    }
    effective(section, "url", redacted(place.url));
    std::string scheme = place.url.substr(0, place.url.find(':'));
    check_s3(place, scheme);
    if (scheme == "sftp" || scheme == "s3" || scheme == "rest" || scheme == "ssh") return;
    constexpr std::string_view kLater[] = {"b2", "azure", "gs", "swift", "rclone"};
    bool later = std::find(std::begin(kLater), std::end(kLater), scheme) != std::end(kLater);
    problem(line(place, "url"),
            later ? fmt::format("this version does not store at {}: places yet", scheme)
                  : fmt::format("unknown kind of place {}:", scheme),
            "Use a folder (/srv/backup), sftp:user@host:/folder, ssh:user@host:/folder, "
            "rest:https://host/path/ or s3:https://host/bucket/prefix.");
}

// Options of buckets and REST servers, and files that they name.
void Validator::check_s3(PlaceConfig& place, std::string_view scheme) {
    const std::string section = "place " + place.name;
    for (auto [key, value] : {std::pair{"region", &place.region},
                              {"credentials", &place.credentials},
                              {"storage_class", &place.storage_class},
                              {"lock", &place.lock},
                              {"ca_file", &place.ca_file}}) {
        bool for_both = value == &place.credentials || value == &place.ca_file;
        if (scheme == "s3" || (scheme == "rest" && for_both) || value->empty()) continue;
        problem(line(place, key),
                fmt::format("{} is for {} places only", key, for_both ? "s3: and rest:" : "s3:"));
    }
    if (!place.lock.empty()) {
        size_t colon = std::min(place.lock.find(':'), place.lock.size());
        std::string mode = place.lock.substr(0, colon);
        auto period =
            colon < place.lock.size() ? parse_duration(place.lock.substr(colon + 1)) : std::nullopt;
        constexpr std::chrono::hours kDay{24};
        if ((mode != "compliance" && mode != "governance") || !period || *period < kDay ||
            *period > 3660 * kDay)
            problem(line(place, "lock"), "lock is not valid",
                    "Write \"compliance:30d\" or \"governance:30d\", from 1d to ten years.");
    }
    if (place.credentials.starts_with("file:")) {
        place.credentials = "file:" + absolute(place.credentials.substr(5));
        effective(section, "credentials", place.credentials);
    }
    if (!place.ca_file.empty()) {
        place.ca_file = absolute(place.ca_file);
        effective(section, "ca_file", place.ca_file);
    }
}

void Validator::check_password(PlaceConfig& place) {
    if (!place.password_file.empty() && !place.password_command.empty())
        return problem(
            line(place, "password_command"),
            fmt::format("place {} has both password_file and password_command", place.name),
            "Keep one of them.");
    if (!place.password_file.empty()) {
        place.password_file = absolute(place.password_file);
        effective("place " + place.name, "password_file", place.password_file);
    } else if (place.password_command.empty()) {
        std::string variable = password_variable(place.name);
        if (environment_(variable.c_str()) == nullptr)
            problem(place.line, fmt::format("place {} has no password", place.name),
                    fmt::format("Add password_file or password_command, or set {}.", variable));
    }
}

template <class Source>
void Validator::check_source(Source& source, const char* kind) {
    const std::string section = fmt::format("{} {}", kind, source.name);
    if (!is_good_name(source.name))
        problem(line(source, "name"), fmt::format("'{}' cannot be a source's name", source.name),
                "Use letters, digits, dots, dashes and underscores, at most 64.");
    if (source.every.count() <= 0)
        problem(line(source, "every"), "every must be longer than nothing");
    if (line_of(inspection_, section, "places", 0) == 0)
        for (const PlaceConfig& place : config_.places) source.places.push_back(place.name);
    else if (source.places.empty())
        problem(line(source, "places"), fmt::format("source {} has no places", source.name));
    std::set<std::string> seen;
    std::vector<std::string> known;
    for (const PlaceConfig& place : config_.places) known.push_back(place.name);
    for (const std::string& name : source.places) {
        if (!seen.insert(name).second)
            problem(line(source, "places"), fmt::format("place {} is named twice", name));
        if (config_.find_place(name) != nullptr) continue;
        auto near = nearest(name, known);
        problem(line(source, "places"), fmt::format("unknown place '{}'", name),
                near ? fmt::format("Did you mean `{}`?", *near)
                     : fmt::format("There are: {}.", fmt::join(known, ", ")));
    }
    for (const std::string& tag : source.tags)
        if (tag.empty() || tag.find(',') != tag.npos)
            problem(line(source, "tags"), fmt::format("'{}' cannot be a tag", tag),
                    "A tag is not empty and holds no comma.");
}

void Validator::check_files(FilesConfig& files) {
    check_source(files, "files");
    if (!files.url.empty()) {
        check_bucket(files);
    } else {
        const int path_line = line(files, "path");
        if (files.path.empty())
            problem(path_line, path_line == files.line ? "[[files]] has no path" : "path is empty",
                    "Add path = \"/srv/shop/uploads\", or the url of a bucket.");
        files.path = absolute(files.path);
        effective("files " + files.name, "path", files.path);
        for (auto [key, value] : {std::pair{"region", &files.region},
                                  {"credentials", &files.credentials},
                                  {"ca_file", &files.ca_file}})
            if (!value->empty())
                problem(line(files, key), fmt::format("{} is for buckets only (url)", key));
    }
    for (std::string& file : files.exclude_file) {
        file = absolute(file);
        if (!fs::exists(fs::status(file)))
            problem(line(files, "exclude_file"), fmt::format("{} does not exist", file));
    }
    check_keep(files);
}

void Validator::check_bucket(FilesConfig& files) {
    const std::string section = "files " + files.name;
    if (!files.path.empty())
        return problem(line(files, "url"), "a source has a path or a url, not both");
    auto path = bucket_path(files.url);
    if (!path)
        return problem(line(files, "url"), "url is not a bucket's",
                       "Write s3:https://host/bucket/prefix; of others give a folder with path.");
    files.path = *path;
    effective(section, "path", files.path);
    if (files.credentials.starts_with("file:")) {
        files.credentials = "file:" + absolute(files.credentials.substr(5));
        effective(section, "credentials", files.credentials);
    }
    if (!files.ca_file.empty()) {
        files.ca_file = absolute(files.ca_file);
        effective(section, "ca_file", files.ca_file);
    }
    if (files.connections > 256) problem(line(files, "connections"), "connections is at most 256");
    for (auto [key, given] : {std::pair{"one_file_system", files.one_file_system},
                              {"exclude_caches", files.exclude_caches},
                              {"exclude_if_present", !files.exclude_if_present.empty()}})
        if (given) problem(line(files, key), fmt::format("{} is for folders only", key));
    for (const PlaceConfig& place : config_.places) {
        auto other = bucket_path(place.url);
        if (other && (is_inside(*other, *path) || is_inside(*path, *other)))
            problem(line(files, "url"),
                    fmt::format("source {} and place {} lie in the same part of a bucket",
                                files.name, place.name),
                    "Use different buckets.");
    }
}

void Validator::check_database(DatabaseConfig& database) {
    check_source(database, "database");
    const std::string section = "database " + database.name;
    if (!database.host.empty() && !database.socket.empty())
        problem(line(database, "socket"),
                fmt::format("database {} has both host and socket", database.name),
                "Keep one of them.");
    if (database.port == 0 || database.port > 65535)
        problem(line(database, "port"), "port must be from 1 to 65535");
    if (database.host.empty() && database.tls != "off")
        problem(line(database, "tls"), "tls is for a host; a socket stays on this machine");
    if (!database.socket.empty()) {
        database.socket = absolute(database.socket);
        effective(section, "socket", database.socket);
    }
    if (!database.tls_ca.empty()) database.tls_ca = absolute(database.tls_ca);
    check_account(database, "", database.account);
    check_account(database, "physical_", database.physical_account);
    check_account(database, "stream_", database.stream_account);
    if (database.base < database.every && database.stream)
        problem(line(database, "base"), "base is shorter than every: every run would be a base",
                "Make base at least as long as every.");
    if (!database.host.empty() && database.method == "physical")
        add_warning(inspection_, line(database, "method"),
                    fmt::format("database {}: a physical base is made on the server's own machine",
                                database.name),
                    "Use socket there, or method = \"logical\".");
    check_stream(database);
}

void Validator::check_account(const DatabaseConfig& database, const std::string& prefix,
                              AccountConfig& account) {
    std::string file_key = prefix + "password_file";
    if (!account.password_file.empty() && !account.password_command.empty())
        problem(line(database, file_key.c_str()),
                fmt::format("database {} has both {}password_file and {}password_command",
                            database.name, prefix, prefix),
                "Keep one of them.");
    bool alone = !account.password_file.empty() || !account.password_command.empty();
    if (!prefix.empty() && account.user.empty() && alone)
        problem(line(database, file_key.c_str()),
                fmt::format("database {} has a password but no {}user", database.name, prefix));
    if (account.password_file.empty()) return;
    account.password_file = absolute(account.password_file);
    effective("database " + database.name, file_key.c_str(), account.password_file);
}

void Validator::check_stream(const DatabaseConfig& database) {
    if (database.seal < std::chrono::seconds(1))
        problem(line(database, "seal"), "seal must be at least 1s");
    if (database.stream_second.empty()) return;
    const PlaceConfig* second = config_.find_place(database.stream_second);
    if (second == nullptr)
        problem(line(database, "stream_second"),
                fmt::format("unknown place '{}'", database.stream_second));
    else if (!local_path(second->url) && !second->url.starts_with("sftp:"))
        problem(line(database, "stream_second"),
                fmt::format("place {} can hold no spool", second->name),
                "Use a place that is a folder or is reached by SFTP.");
}

// `backup NAME` and `status` mean one source.
void Validator::same_source_names() {
    for (const DatabaseConfig& database : config_.databases)
        if (const FilesConfig* files = config_.find_files(database.name))
            problem(database.line,
                    fmt::format("a [[database]] and a [[files]] are called '{}' (the other is in "
                                "line {})",
                                database.name, files->line));
}

void Validator::check_keep(const FilesConfig& files) {
    const KeepConfig& keep = files.keep;
    const std::pair<const char*, const std::string*> spans[] = {
        {"within", &keep.within},
        {"within_hourly", &keep.within_hourly},
        {"within_daily", &keep.within_daily},
        {"within_weekly", &keep.within_weekly},
        {"within_monthly", &keep.within_monthly},
        {"within_yearly", &keep.within_yearly}};
    for (auto [key, text] : spans)
        if (!text->empty() && !is_span(*text))
            problem(line_of(inspection_, "files " + files.name + " keep", key, files.line),
                    fmt::format("{} in keep of [[files]] must be {}, not \"{}\"", key,
                                describe(OptionType::span), *text),
                    "There are no weeks in it; 2 weeks are \"14d\".");
}

template <class T>
void Validator::duplicate_names(const std::vector<T>& items, const char* section) {
    for (size_t i = 0; i < items.size(); ++i)
        for (size_t j = 0; j < i; ++j)
            if (items[i].name == items[j].name)
                problem(items[i].line,
                        fmt::format("two [[{}]] are called '{}' (the other is in line {})", section,
                                    items[i].name, items[j].line));
}

void Validator::same_url() {
    auto identity = [](const PlaceConfig& place) {
        auto path = local_path(place.url);
        std::string text = path ? resolved(*path).string() : place.url;
        while (text.size() > 1 && text.back() == '/') text.pop_back();
        return text;
    };
    for (size_t i = 0; i < config_.places.size(); ++i)
        for (size_t j = 0; j < i; ++j) {
            const PlaceConfig &a = config_.places[i], &b = config_.places[j];
            if (identity(a) == identity(b))
                problem(line(a, "url"),
                        fmt::format("places {} and {} are the same repository", b.name, a.name),
                        "Two places must be two repositories.");
        }
}

void Validator::overlaps() {
    struct Folder {
        std::string what;
        fs::path real;
        int line;
    };
    std::vector<Folder> places, sources;
    for (const PlaceConfig& place : config_.places)
        if (auto path = local_path(place.url))
            places.push_back({"place " + place.name, resolved(*path), line(place, "url")});
    for (const FilesConfig& files : config_.files)
        if (files.url.empty())
            sources.push_back({"source " + files.name, resolved(files.path), line(files, "path")});
    for (const Folder& source : sources)
        for (const Folder& place : places) {
            const char* hint = "Put them in folders that do not contain each other.";
            if (is_inside(place.real, source.real))
                problem(place.line,
                        fmt::format("{} lies inside {} ({})", place.what, source.what,
                                    source.real.string()),
                        hint);
            else if (is_inside(source.real, place.real))
                problem(source.line,
                        fmt::format("{} lies inside {} ({})", source.what, place.what,
                                    place.real.string()),
                        hint);
        }
    for (size_t i = 0; i < places.size(); ++i)
        for (size_t j = 0; j < places.size(); ++j)
            if (i != j && places[i].real != places[j].real &&
                is_inside(places[i].real, places[j].real))
                problem(places[i].line,
                        fmt::format("{} lies inside {}", places[i].what, places[j].what),
                        "A repository holds nothing but its own files.");
}

void Validator::check_mirror(MirrorConfig& mirror) {
    if (!is_good_name(mirror.name))
        problem(line(mirror, "name"), fmt::format("'{}' cannot be a mirror's name", mirror.name),
                "Use letters, digits, dots, dashes and underscores, at most 64.");
    if (mirror.every.count() <= 0)
        problem(line(mirror, "every"), "every must be longer than nothing");
    check_mirror_end(mirror, "from", mirror.from);
    check_mirror_end(mirror, "to", mirror.to);
    bool remote_from = !local_path(mirror.from), remote_to = !local_path(mirror.to);
    if (remote_from && remote_to)
        problem(line(mirror, "from"), "both ends of the mirror are on hosts",
                "Run it on one of the two, with a folder at that end.");
    if (!remote_from && !remote_to && !mirror.ssh_options.empty())
        problem(line(mirror, "ssh_options"), "ssh_options is for a mirror with an end on a host");
    if (mirror.marker.starts_with('/') || mirror.marker.ends_with('/'))
        problem(line(mirror, "marker"), "marker must be a file's name relative to from");
}

void Validator::check_mirror_end(MirrorConfig& mirror, const char* key, std::string& end) {
    if (end.find_first_of(std::string_view("\0\n\r", 3)) != end.npos)
        return problem(line(mirror, key), fmt::format("{} holds a line break", key));
    if (auto path = local_path(end)) {
        if (path->empty()) return problem(line(mirror, key), fmt::format("{} is empty", key));
        end = absolute(*path);
        return effective("mirror " + mirror.name, key, end);
    }
    if (end.starts_with("sftp:")) return;
    problem(line(mirror, key),
            end.starts_with("s3:") ? std::string("this version does not mirror buckets yet")
                                   : fmt::format("{} is neither a folder nor sftp:", key),
            "Use a folder (/srv/uploads) or sftp:user@host:/folder.");
}

// What lies below a mirror's target and is not in its source goes away: nothing else may be there.
void Validator::mirror_overlaps() {
    struct Folder {
        std::string what;
        fs::path real;
    };
    std::vector<Folder> all = {{"the state folder", resolved(config_.app.state_dir)},
                               {"the configuration's file", resolved(inspection_.loaded.path)}};
    for (const PlaceConfig& place : config_.places)
        if (auto path = local_path(place.url)) all.push_back({"place " + place.name, *path});
    for (const FilesConfig& files : config_.files)
        all.push_back({"source " + files.name, files.path});
    for (const MirrorConfig& mirror : config_.mirrors) {
        if (local_path(mirror.from)) all.push_back({"from of mirror " + mirror.name, mirror.from});
        if (local_path(mirror.to)) all.push_back({"to of mirror " + mirror.name, mirror.to});
    }
    for (const MirrorConfig& mirror : config_.mirrors) {
        const std::string own_target = "to of mirror " + mirror.name;
        for (const Folder& other : all) {
            if (other.what == own_target) continue;
            fs::path real = resolved(other.real), target = resolved(mirror.to);
            bool chained = real == target && other.what.starts_with("from of ") &&
                           other.what != "from of mirror " + mirror.name;
            if (!local_path(mirror.to) || chained) continue;
            if (is_inside(real, target) || is_inside(target, real))
                problem(line(mirror, "to"),
                        fmt::format("{} and {} lie inside each other ({})", own_target, other.what,
                                    real.string()),
                        "Give the mirror a folder of its own: what else lies there is removed.");
        }
    }
    for (size_t i = 0; i < config_.mirrors.size(); ++i)
        for (size_t j = 0; j < i; ++j)
            if (!local_path(config_.mirrors[i].to) &&
                config_.mirrors[i].to == config_.mirrors[j].to)
                problem(line(config_.mirrors[i], "to"),
                        fmt::format("mirrors {} and {} have the same target",
                                    config_.mirrors[j].name, config_.mirrors[i].name),
                        "Give each a folder of its own.");
}

// Rules 1 and 2. Only a warning: one place is better than none.
void Validator::two_places() {
    auto look = [&](const auto& source) {
        std::set<std::string> domains;
        for (const std::string& name : source.places)
            domains.insert(config_.place(name).failure_domain());
        if (domains.size() >= 2) return;
        std::string why =
            source.places.size() == 1
                ? fmt::format("only one place, {}", source.places[0])
                : fmt::format("all its places are in the domain {}", *domains.begin());
        add_warning(inspection_, line(source, "places"),
                    fmt::format("source {} cannot be in two places at once: {}", source.name, why),
                    "Add a place with another vendor.");
    };
    for (const FilesConfig& files : config_.files) look(files);
    for (const DatabaseConfig& database : config_.databases) look(database);
}

void Validator::readable_secrets() {
    struct stat info {};
    if (::stat(inspection_.loaded.path.c_str(), &info) != 0 || (info.st_mode & 0077) == 0) return;
    bool others = (info.st_mode & 0007) != 0;
    for (const PlaceConfig& place : config_.places) {
        bool secret = redacted(place.url) != place.url || !place.password_command.empty();
        if (!secret || (!others && (info.st_mode & 0040) == 0)) continue;
        return add_warning(inspection_, line(place, "url"),
                           fmt::format("may hold secrets and can be read by {} (mode {:04o})",
                                       others ? "everybody" : "its group", info.st_mode & 07777),
                           "Make it private with chmod 600.");
    }
}

}  // namespace

void validate(const std::string& folder, const Environment& environment, Inspection& inspection) {
    Validator(folder, environment, inspection).run();
}

}  // namespace sevenfold::config::internal
