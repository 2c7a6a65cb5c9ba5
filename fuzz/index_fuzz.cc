// Any bytes: decode_index reads them or throws Error{corrupt}; what it reads survives being
// written, and the table of the index takes it.
#include "core/check.h"
#include "core/error.h"
#include "repository/index.h"

using namespace sevenfold;
using namespace sevenfold::repository;

static std::vector<IndexedPack> decode(ByteView json) {
    std::vector<IndexedPack> packs;
    decode_index(json, [&](IndexedPack&& pack) { packs.push_back(std::move(pack)); });
    return packs;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<IndexedPack> packs;
    try {
        packs = decode(ByteView(data, size));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
        return 0;
    }
    std::string json = encode_index(packs);
    CHECK(encode_index(decode(as_bytes(json))) == json);

    Index index;
    for (const IndexedPack& pack : packs) index.append(pack);
    index.freeze();
    for (const IndexedPack& pack : packs)
        for (const PackedBlob& blob : pack.blobs) {
            CHECK(index.has(blob.handle));
            bool found = false;
            for (const BlobLocation& copy : index.find_all(blob.handle))
                found = found || (copy.pack == pack.pack && copy.blob == blob);
            CHECK(found);
        }
    return 0;
}
