#include "cli/context.h"

#include <cstdlib>

#include "core/log.h"
#include "os/file.h"

namespace sevenfold::cli {

void Context::check_stop() const {
    if (stop_.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
}

std::string Context::config_path() const {
    if (!global_.config_file.empty()) return global_.config_file;
    const char* named = std::getenv("SEVENFOLD_CONFIG");
    if (named != nullptr && *named != 0) return named;
    for (const char* path : {"sevenfold.toml", "/etc/sevenfold/sevenfold.toml"})
        if (os::path_exists(path)) return path;
    throw Error(ErrorKind::config,
                "no configuration found (sevenfold.toml here, or /etc/sevenfold/sevenfold.toml)",
                "Make one with `sevenfold init`, or name it with -c FILE.");
}

const config::LoadedConfig& Context::loaded() {
    if (!loaded_) {
        loaded_ = config::load(config_path());
        for (const config::Problem& warning : loaded_->warnings)
            log_warning("{}", warning.text_with_place());
    }
    return *loaded_;
}

}  // namespace sevenfold::cli
