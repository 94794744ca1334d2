// Hashes and counts the rows of a run.
#include "minbert/train/data_report.h"

#include "minbert/base/hash.h"

namespace minbert {

std::string data_digest(const RunSetup& setup) {
  Sha256 digest;
  const auto update = [&](const TokenizedRows& rows) {
    digest.update(std::as_bytes(std::span(rows.ids)));
    digest.update(std::as_bytes(std::span(rows.offsets)));
    digest.update(std::as_bytes(std::span(rows.labels)));
  };
  for (const TaskData& task : setup.tasks) {
    update(task.train);
    update(task.dev);
  }
  for (const MlmCorpus& corpus : setup.mlm) {
    update(corpus.train);
    for (const MlmSource& source : corpus.sources) update(source.held_out);
  }
  for (const auto& sources : setup.contrastive)
    for (const ContrastiveTexts& texts : sources) {
      update(texts.rows);
      digest.update(std::as_bytes(std::span(texts.groups)));
    }
  digest.update(std::as_bytes(std::span(setup.teachers)));
  return digest.hex();
}

Json corpus_json(const MlmCorpus& corpus) {
  Json json = Json::object();
  for (const MlmSource& source : corpus.sources) {
    const auto& offsets = corpus.train.offsets;
    const std::int64_t tokens = offsets[static_cast<std::size_t>(source.end)] - offsets[static_cast<std::size_t>(source.begin)];
    json[source.name] = {{"probe", source.probe},
                         {"read", source.read},
                         {"used", source.end - source.begin},
                         {"empty", source.empty},
                         {"held_out", source.set_aside},
                         {"repeated", source.repeated},
                         {"truncated", source.truncated},
                         {"tokens", tokens},
                         {"held_out_tokens", source.held_out.ids.size()}};
  }
  return json;
}

Json contrastive_json(std::span<const ContrastiveTexts> sources) {
  Json json = Json::object();
  for (const ContrastiveTexts& texts : sources)
    json[texts.name] = {{"rows", texts.rows.rows()},
                        {"pairs", texts.rows.per_row == 2},
                        {"tokens", texts.rows.ids.size()},
                        {"truncated", texts.rows.truncated}};
  return json;
}

Json data_json(const RunSetup& setup, const RunConfig& config) {
  Json json = Json::object();
  for (const TaskData& task : setup.tasks) {
    json[task.spec.name] = task.rows.reports;
    for (const auto& [split, tokens] : {std::pair("train", &task.train), {"dev", &task.dev}, {"test", &task.test}})
      if (json[task.spec.name].contains(split))
        json[task.spec.name][split].update({{"tokens", tokens->ids.size()}, {"truncated", tokens->truncated}});
  }
  for (const TaskData& corpus : setup.corpora) json[corpus.spec.name] = corpus.rows.reports;
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    if (config.stages[i].mlm) json[std::string(kMlmName)][config.stages[i].name] = corpus_json(setup.mlm[i]);
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    if (config.stages[i].contrastive) json[std::string(kContrastiveName)][config.stages[i].name] = contrastive_json(setup.contrastive[i]);
  return json;
}

}  // namespace minbert
