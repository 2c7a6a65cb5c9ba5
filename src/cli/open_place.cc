#include "cli/open_place.h"

namespace sevenfold::cli {

storage::BackendOptions backend_options(const config::PlaceConfig& place) {
    storage::BackendOptions options;
    options.upload_limit = place.upload_limit;
    options.download_limit = place.download_limit;
    options.connections = static_cast<unsigned>(place.connections);
    options.ssh_args = place.ssh_options;
    return options;
}

std::unique_ptr<storage::Backend> open_place_backend(const config::PlaceConfig& place,
                                                     const storage::BackendOptions& options) {
    try {
        return storage::open_backend(storage::parse_location(place.url), options);
    } catch (const Error& error) {
        throw error.with_context("place " + place.name);
    }
}

}  // namespace sevenfold::cli
