#include "config/settings.h"

#include <algorithm>

#include "config/lexer.h"

namespace headrace::config {

const Value* Block::find(std::string_view option) const {
  const auto found = values.find(option);
  return found == values.end() ? nullptr : &found->second;
}

const Block* Settings::find(Section section, std::string_view wanted) const {
  const auto found = std::find_if(blocks.begin(), blocks.end(), [&](const Block& block) {
    return block.section == section && same_name(block.name, wanted);
  });
  return found == blocks.end() ? nullptr : &*found;
}

}  // namespace headrace::config
