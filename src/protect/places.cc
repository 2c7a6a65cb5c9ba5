#include "protect/places.h"

#include <fmt/format.h>

#include "core/parallel.h"
#include "protect/passwords.h"
#include "storage/cache_backend.h"

namespace sevenfold::protect {

using repository::Repository;

storage::BackendOptions backend_options(const config::PlaceConfig& place) {
    storage::BackendOptions options;
    options.upload_limit = place.upload_limit;
    options.download_limit = place.download_limit;
    options.connections = static_cast<unsigned>(place.connections);
    options.ssh_args = place.ssh_options;
    options.ca_file = place.ca_file;
    options.rest_credentials = place.credentials;
    options.s3 = {.region = place.region,
                  .credentials = place.credentials,
                  .storage_class = place.storage_class,
                  .bucket_lookup = place.bucket_lookup,
                  .lock = place.lock};
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

std::unique_ptr<Repository> open_place(const config::PlaceConfig& place,
                                       const OpenPlaceOptions& options) {
    storage::BackendOptions backend_opts = backend_options(place);
    backend_opts.stop = options.stop;
    backend_opts.as_of = options.as_of;
    auto backend = open_place_backend(place, backend_opts);
    try {
        auto repository = Repository::open(std::move(backend), read_password(place), {});
        if (!options.cache_dir.empty()) add_cache(*repository, options.cache_dir);
        return repository;
    } catch (const Error& error) {
        Error named = error.with_context("place " + place.name);
        if (error.kind() == ErrorKind::no_repository)
            throw named.with_hint(
                "Is it mounted? `sevenfold init --repositories` creates the repository of a new "
                "place.");
        throw named;
    }
}

void add_cache(Repository& repository, const std::string& cache_dir) {
    if (!repository.backend().capabilities().remote) return;
    std::string folder = cache_dir + "/" + repository.config().id.hex();
    repository.wrap_backend([&](std::unique_ptr<storage::Backend> inner) {
        auto cache = std::make_unique<storage::CacheBackend>(
            std::move(inner), storage::CacheOptions{.folder = folder});
        cache->set_cacheable_packs(
            [&repository](const Id& pack) { return repository.index().is_tree_pack(pack); });
        return cache;
    });
}

std::vector<JobPlace> open_places(const std::vector<const config::PlaceConfig*>& places,
                                  const OpenPlaceOptions& options) {
    std::vector<JobPlace> out(places.size());
    parallel_for(places.size(), static_cast<unsigned>(places.size()), [&](size_t i) {
        out[i].name = places[i]->name;
        out[i].pack_target = places[i]->pack_size;
        try {
            out[i].repository = open_place(*places[i], options);
        } catch (...) {
            out[i].error = current_error();
        }
    });
    return out;
}

std::unique_ptr<storage::Bucket> open_source_bucket(const config::FilesConfig& source,
                                                    std::stop_token stop) {
    storage::BackendOptions options;
    options.ca_file = source.ca_file;
    options.s3 = {.region = source.region,
                  .credentials = source.credentials,
                  .storage_class = "",
                  .bucket_lookup = source.bucket_lookup};
    options.stop = std::move(stop);
    return storage::open_bucket(storage::parse_location(source.url), options);
}

}  // namespace sevenfold::protect
