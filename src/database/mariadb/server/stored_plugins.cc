#include "database/mariadb/server/stored_plugins.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr size_t kLargest = 1 << 20;

// Later lines win, as they do for the server. Names have underscores.
std::map<std::string, std::string> read_options(const std::string& path) {
    std::map<std::string, std::string> out;
    Bytes bytes = os::read_file(path, kLargest);
    std::string_view text = as_text(bytes);
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        size_t equals = line.find('=');
        if (line.starts_with('#') || line.starts_with('[') || equals == line.npos) continue;
        std::string name(line.substr(0, equals));
        std::ranges::replace(name, '-', '_');
        std::string_view value = line.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        out[name] = value;
    }
    return out;
}

// Plugins without which files cannot be read; others are none of a copy's business.
bool is_needed(std::string_view plugin) {
    return plugin.ends_with("_key_management") || plugin.starts_with("provider_");
}

void require_system_folder(const std::string& folder) {
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0)
        throw Error(ErrorKind::not_found,
                    fmt::format("the base needs plugins from {}, which is missing", folder),
                    "Install the server there; a restore needs its plugins.");
    bool closed = info.st_uid == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    if (!folder.starts_with('/') || !closed)
        throw Error(ErrorKind::refused,
                    fmt::format("the base names {} as its server's folder of plugins", folder),
                    "Only a folder that belongs to root alone is trusted with that.");
}

void require_keys(const std::string& file) {
    if (os::path_exists(file)) return;
    throw Error(ErrorKind::not_found,
                fmt::format("the base is encrypted with the keys in {}, which is missing", file),
                "Put the server's file of keys there: no base contains it.");
}

}  // namespace

std::string stored_option_file(const std::string& data_dir) {
    std::string path = data_dir + "/backup-my.cnf";
    return os::path_exists(path) ? path : std::string();
}

StoredPlugins stored_plugins(const std::string& data_dir) {
    StoredPlugins out;
    std::string path = stored_option_file(data_dir);
    if (path.empty()) return out;
    auto options = read_options(path);
    std::string loads = options["plugin_load"];
    std::string wanted;
    for (size_t at = 0; at < loads.size();) {  // name=library;name=library
        std::string item = loads.substr(at, loads.find(';', at) - at);
        at += item.size() + 1;
        size_t equals = item.find('=');
        if (equals == item.npos || item.find('/') != item.npos) continue;
        std::string name = item.substr(0, equals), library = item.substr(equals + 1);
        if (!is_needed(name)) continue;
        if (!library.ends_with(".so")) library += ".so";
        wanted += (wanted.empty() ? "" : ";") + name + "=" + library;
        out.files.push_back(library);
        for (const auto& [option, value] : options)
            if (option.starts_with(name + "_") && !value.empty())
                out.arguments.push_back(fmt::format("--{}={}", option, value));
    }
    if (out.files.empty()) return out;
    out.folder = options["plugin_dir"];
    require_system_folder(out.folder);
    for (const std::string& file : out.files)
        if (!os::path_exists(out.folder + "/" + file))
            throw Error(ErrorKind::not_found,
                        fmt::format("the base needs the server's plugin {}/{}", out.folder, file),
                        "Install it: a server cannot read the base's files without.");
    if (const std::string& file = options["file_key_management_filename"]; !file.empty())
        require_keys(file);
    if (std::string_view secret = options["file_key_management_filekey"];
        secret.starts_with("FILE:"))
        require_keys(std::string(secret.substr(5)));
    // First, so that the plugins' own options are known; what was encrypted stays so.
    out.arguments.insert(out.arguments.begin(), "--plugin-load=" + wanted);
    for (const char* option : {"innodb_encrypt_tables", "innodb_encrypt_log"})
        if (auto found = options.find(option); found != options.end())
            out.arguments.push_back(fmt::format("--{}={}", option, found->second));
    return out;
}

}  // namespace sevenfold::database::mariadb
