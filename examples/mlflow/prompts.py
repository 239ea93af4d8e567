"""Keep prompts beside models: versions with messages, an alias for the one that is live."""

import mlflow

NAME = "summarise"

first = mlflow.genai.register_prompt(
    name=NAME,
    template="Summarise in {{ sentences }} sentences: {{ text }}",
    commit_message="first try",
    tags={"task": "summary"},
)
second = mlflow.genai.register_prompt(
    name=NAME,
    template="You are an editor. Summarise in {{ sentences }} sentences, without adjectives: {{ text }}",
    commit_message="less flowery",
)
mlflow.genai.set_prompt_alias(NAME, alias="live", version=second.version)

prompt = mlflow.genai.load_prompt(f"prompts:/{NAME}@live")
assert prompt.commit_message == "less flowery"
assert prompt.format(sentences=2, text="A long story.").endswith("A long story.")

mlflow.genai.set_prompt_alias(NAME, alias="live", version=first.version)
assert mlflow.genai.load_prompt(f"prompts:/{NAME}/{first.version}").template.startswith("Summarise")
found = mlflow.genai.search_prompts(filter_string=f"name = '{NAME}'")
assert [one.name for one in found] == [NAME]
print(f"prompt {NAME} has its version {first.version} live")
