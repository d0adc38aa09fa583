// Base64 as the `raw` attribute of a <dle> element carries it. Internal to wire/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headrace::wire {

std::string encode_base64(std::string_view bytes);
// Blanks and newlines are skipped; padding may be missing. nullopt: a byte that is no base64, or a lone
// digit.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace headrace::wire
