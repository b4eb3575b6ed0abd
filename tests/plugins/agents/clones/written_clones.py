"""Clones that the tests write: the layout of the repositories, in words of our own."""

# ruff: noqa: E501 - the code of another's repository, as it is laid out there
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

SYSTEM = 'You look at pictures.\n<tools>\n{"name": "image_zoom_in_tool", "box": [1, 2]}\n</tools>\n'
USER = "\nWeigh it first, then zoom or reply. "
ANSWER = "Say nothing but the answer."
SCREEN_SYSTEM = 'Is a closer look worth it?\n\nSay "yes" or "no".\n'
SCREEN_USER = "\nIs it worth it? yes or no."
SCORE = "\n    Rate the step from 0 to 9.\n    "
WITH_OPTIONS = "Asked: {question}\n        To choose from: {options}\n        "
ALONE = "Asked: {question}\n        "
THYME_SYSTEM = "You write Python.\n    <code>\n    ```python\n    ```\n    </code>"

DEEPEYES_PROMPTS = f"""
SYSTEM_PROMPT = {SYSTEM!r}
SYSTEM_PROMPT_ANSWER = {ANSWER!r}
SYSTEM_PROMPT_ANSWER_MATH = "Solve it."
SYSTEM_PROMPT_ANSWER_THINKING = "Think."
USER_PROMPT = {USER!r}
PROMPT_TEMPLATES_JTC = {{
    "reliability_weighted": {{"system_prompt": {SCREEN_SYSTEM!r}, "user_prompt": {SCREEN_USER!r}}},
}}
"""
PREPARE = """

def prepare_messages_to_answer(messages_to_answer, question_prompt, args):
    instruction_prompt = "\\nAnswer:"
    messages_to_answer[0]["content"] = SYSTEM_PROMPT_ANSWER
    messages_to_answer[1]["content"][-1]["text"] = question_prompt + instruction_prompt
    return messages_to_answer
"""
"""What both agents' code has for the draft."""
DEEPEYES_CODE = (
    '''
import argparse, copy, json
from transformers import AutoProcessor
try:
    from .utils import *
    from .prompt import *
except ImportError:
    from utils import *
    from prompt import *


def load_vstar_data_generator(vstar_path, test_type):
    for img in os.listdir(vstar_path):
        anno = json.load(open(img))
        options = anno['options']
        option_str = "\\n"
        for i in range(len(options)):
            option_str += abc_map[i + 1] + '. ' + options[i] + '\\n'
        yield {'question': anno['question'], 'options': options}


def init_messages(messages, print_messages, question_prompt):
    instruction_prompt = USER_PROMPT
    messages[0]["content"] = SYSTEM_PROMPT
    messages[1]["content"][-1]["text"] = question_prompt + instruction_prompt
    return


def init_messages_judge_tc(data_item, args):
    instruction_prompt_with_options = """Asked: {question}
        To choose from: {options}
        """
    instruction_prompt_no_options = """Asked: {question}
        """
    if args.benchmark == 'vstar':
        option_str = "\\n"
        for i in range(len(data_item['options'])):
            option_str += abc_map[i + 1] + '. ' + data_item['options'][i] + '\\n'
        prompt = instruction_prompt_with_options.format(question=data_item['question'], options=option_str)
        pil_img = Image.open(data_item['image_path'])
    elif args.benchmark == 'hr':
        option_str = "\\n"
        for i in range(len(data_item['options'])):
            option_str += data_item['options'][i] + '\\n'
        prompt = instruction_prompt_with_options.format(question=data_item['question'], options=option_str)
        pil_img = data_item['image_pil']
    elif args.benchmark == 'pope':
        prompt = instruction_prompt_no_options.format(question=data_item['question'])
        pil_img = data_item['image_pil']
    else:
        raise ValueError(f"Unsupported benchmark: {args.benchmark}")
    base64_image = encode(pil_img)
    messages = [
        {"role": "system", "content": PROMPT_TEMPLATES_JTC['reliability_weighted']['system_prompt']},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64_image}"}},
            {"type": "text", "text": prompt + PROMPT_TEMPLATES_JTC['reliability_weighted']['user_prompt']},
        ]},
    ]
    return messages, prompt


def process_messages_to_tc(messages, response_message, images_pil):
    try:
        action_list = json.loads(response_message)
    except json.JSONDecodeError as e:
        messages.append({"role": "assistant", "content": USER_PROMPT})
        return messages
    crop = encode(images_pil[0])
    next_content = [{"type": "text", "text": "<tool_response>"},
                    {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{crop}"}},
                    {"type": "text", "text": USER_PROMPT},
                    {"type": "text", "text": "</tool_response>"}]
    messages.extend([{"role": "user", "content": next_content}])
    return messages
'''
    + PREPARE
)
DEEPEYES_REASON = '''
from prompt import *


def get_utility_score(messages, large_model, large_processor):
    verify_prompt = """
    Rate the step from 0 to 9.
    """
    verify_messages = copy.deepcopy(messages)
    verify_messages.append({"role": "user", "content": verify_prompt})
    return 0
'''
UTILS = """
import torch
abc_map = {1: 'A', 2: 'B', 3: 'C', 4: 'D', 5: 'E', 6: 'F'}
stop_strings = ["</tool_call>", "</answer>"]
"""
THYME_UTILS = (
    f"""
from PIL import Image
SYSTEM_PROMPT = '''{THYME_SYSTEM}'''
"""
    '''

def generate_prompt_final_qa(user_question, user_image_path):
    try:
        with Image.open(user_image_path) as img:
            user_image_size = f"{img.width}x{img.height}"
    except Exception as e:
        user_image_size = "unknown"

    prompt = f"""<image>
{user_question}

Path: "{user_image_path}"
Size: "{user_image_size}"

<think>reason</think>
<answer>answer</answer>
"""
    return prompt


def run_evaluation(user_question: str, initial_image_url_or_path: str, model, processor):
    current_image_path_for_code = initial_image_url_or_path
    conversation_history = []
    conversation_history.append({'role': 'system', 'content': [{"type": "text", "text": SYSTEM_PROMPT}]})
    initial_prompt_text = generate_prompt_final_qa(user_question, current_image_path_for_code)
    conversation_history.append({
        "role": "user",
        "content": [
            {"type": "image", "image": initial_image_url_or_path},
            {"type": "text", "text": initial_prompt_text},
        ]
    })
    for iteration in range(5):
        generated_content = []
        text = model.generate(processor.apply_chat_template(conversation_history))
        generated_content += [{"type": "text", "text": text}, {"type": "text", "text": "<sandbox_output>"}]
        generated_content.append({"type": "image", "image": "result"})
        generated_content.append({"type": "text", "text": "</sandbox_output>"})
        conversation_history.append({"role": "assistant", "content": generated_content})
    return conversation_history
'''
)
THYME_CODE = (
    """
from utils import run_evaluation
from prompt import *

ABC_MAP = {1: 'A', 2: 'B', 3: 'C'}


def build_mc_question_text(question, options):
    option_lines = []
    for i, opt in enumerate(options):
        option_lines.append(f"{ABC_MAP[i + 1]}. {opt}")
    option_block = "\\n".join(option_lines)
    question_text = (
        f"Asked: {question}\\nChoices:\\n{option_block}\\n"
        f"Please pick one of the choices above."
    )
    return question_text


def init_messages_judge_tc(prompt, img_path, args):
    base64_image = encode(img_path)
    messages = [
        {"role": "system", "content": PROMPT_TEMPLATES_JTC['reliability_weighted']['system_prompt']},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64_image}"}},
            {"type": "text", "text": prompt+PROMPT_TEMPLATES_JTC['reliability_weighted']['user_prompt']},
        ]},
    ]
    return messages, prompt


def process_test_type(data_iter, args):
    for data_item in data_iter:
        question_text = data_item['question_text']
        messages, question_prompt = init_messages_judge_tc(question_text.split('Please')[0], data_item['img_path'], args)


def load_pope_data_generator(pope_path, test_type):
    for row in read(pope_path):
        question = row.get('question', '')
        question_text = f"Asked: {question}\\nPlease say 'yes' or 'no'."
        yield {'question_text': question_text}
"""
    + PREPARE
)
THYME_PROMPTS = f"""
SYSTEM_PROMPT_ANSWER = {ANSWER!r}
PROMPT_TEMPLATES_JTC = {{
    "reliability_weighted": {{"system_prompt": {SCREEN_SYSTEM!r}, "user_prompt": {SCREEN_USER!r}}},
}}
"""
UPSTREAM: Mapping[str, str] = {
    "README.md": "A repository.",
    "eval_code_deepeyes/__init__.py": "",
    "eval_code_deepeyes/prompt.py": DEEPEYES_PROMPTS,
    "eval_code_deepeyes/SpecEyes.py": DEEPEYES_CODE,
    "eval_code_deepeyes/SpecReason.py": DEEPEYES_REASON,
    "eval_code_deepeyes/utils.py": UTILS,
    "eval_code_thyme/__init__.py": "",
    "eval_code_thyme/prompt.py": THYME_PROMPTS,
    "eval_code_thyme/SpecEyes.py": THYME_CODE,
    "eval_code_thyme/utils.py": THYME_UTILS,
    "judge_code/judge.py": 'SYSTEM = "You judge."',
}
"""The paper's repository."""

OWN_DEEPEYES: Mapping[str, str] = {
    "eval/eval_vstar.py": dedent(
        f'''
        instruction_prompt_system = {SYSTEM!r}
        USER_PROMPT_V2 = {USER!r}
        instruction_prompt_before = """Asked: {{question}}
        Choices: {{options}}
        """ + USER_PROMPT_V2
        user_prompt = USER_PROMPT_V2
        abc_map = {{1: 'A', 2: 'B'}}


        def process(img_arg):
            question, options = read(img_arg)
            option_str = "\\n"
            for i in range(len(options)):
                option_str += abc_map[i + 1] + '. ' + options[i] + '\\n'
            prompt = instruction_prompt_before.format(question=question, options=option_str)
        '''
    ),
    "verl/workers/agent/prompt.py": "class PROMPT:\n    SYSTEM_PROMPT_V1 = 'another'\n",
}
"""DeepEyes' own repository."""

OWN_THYME: Mapping[str, str] = {
    "eval/utils.py": THYME_UTILS,
    "eval/kit/vlm/thyme/utils.py": THYME_UTILS.replace("SYSTEM_PROMPT", "REASONING_SYS_PROMPT"),
    "eval/kit/dataset/other.py": 'SYSTEM_PROMPT = "You are another."',
}
"""Thyme's own repository, with other files that have a name in common with it."""


def write_clone(folder: Path, files: Mapping[str, str], **changed: str | None) -> Path:
    """Write the files; `changed` are other contents by path with __ for /, None for no file."""
    others = {name.replace("__", "/") + ".py": text for name, text in changed.items()}
    for path, text in {**files, **others}.items():
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    return folder
