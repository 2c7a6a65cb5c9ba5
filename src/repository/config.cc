// The repository's config file (format A.2).
#include <fmt/format.h>

#include "core/error.h"
#include "repository/internal/json_reader.h"
#include "repository/repository.h"

namespace sevenfold::repository {

std::string encode_config(const RepositoryConfig& config) {
    return fmt::format(R"({{"version":{},"id":"{}","chunker_polynomial":"{:x}"}})", config.version,
                       config.id.hex(), config.chunker_polynomial);
}

RepositoryConfig decode_config(ByteView bytes) {
    RepositoryConfig config;
    std::optional<uint64_t> version;
    bool has_id = false;
    JsonReader json(bytes, "config");
    json.begin_object();
    while (json.next_key()) {
        if (json.key() == "version") {
            version = json.u64();
        } else if (json.key() == "id") {
            config.id = json.id();
            has_id = true;
        } else if (json.key() == "chunker_polynomial") {
            config.chunker_polynomial = parse_polynomial(json.string());
        } else {
            json.skip();  // rustic keeps settings of its own here
        }
    }
    json.end();
    // The version first: a newer one may have anything else.
    if (!version) json.fail("no version");
    if (*version < 1 || *version > 2)
        throw Error(ErrorKind::unsupported,
                    fmt::format("config: repository version {} is not supported", *version),
                    "Versions 1 and 2 are; a newer release of this program may read it.");
    if (!has_id) json.fail("no id");
    if (config.chunker_polynomial == 0) json.fail("no chunker_polynomial");
    config.version = static_cast<int>(*version);
    return config;
}

}  // namespace sevenfold::repository
