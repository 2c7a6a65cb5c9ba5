// The second copy of what was received, encrypted: it lies on another machine, and it is production
// data.
//
// Format: docs/format/second-spool.md. In short: <incarnation>/<file>.<number>.sealed are parts,
// each a sequence of frames with bytes of the log file; numbers grow, and where two frames cover
// the same bytes, the later one counts. A frame without bytes is a cut: what lies from its offset
// on was not part of the log after all.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "crypto/cipher.h"
#include "database/log_archive.h"

namespace sevenfold::database::mariadb {

// Of the log's bytes in one frame; a reader needs that much memory.
constexpr size_t kMaxFrameData = 256 * 1024;

struct SealedFrame {
    std::string name;  // "<incarnation>/<file>"
    uint64_t offset = 0;
    Bytes data;
};
// `data`: at most kMaxFrameData; empty: a cut.
Bytes seal_frame(crypto::Cipher& cipher, const std::string& name, uint64_t offset, ByteView data);

// The head of a frame, before anything is decrypted.
constexpr size_t kFrameHead = 20;
struct FrameHead {
    uint32_t length = 0;  // of the envelope
    uint64_t offset = 0;
};
// Nothing when the bytes are no head (the torn end of a part, or damage).
std::optional<FrameHead> parse_frame_head(ByteView head);
// Throws Error{corrupt} unless the envelope was sealed with this key and is well-formed.
SealedFrame open_frame(crypto::Cipher& cipher, ByteView envelope);

std::string part_name(const std::string& file, uint32_t number);
struct PartName {
    std::string file;
    uint32_t number = 0;
};
std::optional<PartName> parse_part_name(std::string_view name);

// The bytes of parts, wherever they lie.
class PartStore {
  public:
    struct Part {
        std::string incarnation, name;
        uint64_t size = 0;
    };
    virtual ~PartStore() = default;
    virtual std::string location() const = 0;
    virtual std::vector<Part> list() = 0;
    // Fewer bytes only at the end. Error{not_found}: it was removed meanwhile.
    virtual Bytes read(const Part& part, uint64_t offset, size_t length) = 0;
    virtual void remove(const Part& part) = 0;
};
std::unique_ptr<PartStore> open_part_folder(std::string folder);

// What the parts hold, as an archive: of each file the bytes from its start up to the first that is
// missing. Reads and checks every frame once; torn ends are passed over, damage in the middle ends
// a part there (and is logged). `store` must outlive it.
//
// `base`: another archive of the same log that counts first; the parts continue its files. Parts
// that hold nothing after what it has are not read. It must outlive the result, too.
std::unique_ptr<LogArchive> open_sealed_spool(PartStore& store, const crypto::CipherKey& key,
                                              const LogArchive* base = nullptr);

// Removes the parts of every file that `stored` says is completely elsewhere. Returns how many.
size_t trim_sealed_spool(
    PartStore& store,
    const std::function<bool(const std::string& incarnation, const std::string& file)>& stored);

}  // namespace sevenfold::database::mariadb
