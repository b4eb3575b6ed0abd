"""Chat templates of our own with the faults of published ones, and what each fault is."""

from __future__ import annotations

TEXTS = (
    "{% for part in message.content %}{% if 'text' in part %}{{ part.text }}{% endif %}{% endfor %}"
)
HEAD = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
TAIL = (
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PICTURE = "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"

PARTS = (
    "{% for part in message.content %}{% if part.type == 'image' %}"
    + PICTURE
    + "{% else %}{{ part.text }}{% endif %}{% endfor %}"
)
PLAIN = HEAD + PARTS + TAIL
"""Nothing is wrong with it (Qwen2.5-VL's kind)."""

DROPS_PICTURES = (
    HEAD
    + "{% if message.role == 'assistant' %}"
    + TEXTS
    + "{% else %}"
    + PARTS
    + "{% endif %}"
    + TAIL
)
"""Of an assistant turn it writes the text alone (Qwen3-VL's kind)."""

DROPS_LATER_PICTURES = PLAIN.replace(
    "{% for part", "{% set early = loop.index < 3 %}{% for part"
).replace("part.type == 'image'", "part.type == 'image' and early")
"""It shows pictures of a conversation's first two turns alone."""

RENDERED = (
    "{% macro render(content) %}{% for part in content %}{% if part.type == 'image' %}"
    + PICTURE
    + "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endmacro %}"
)
CLOSES_THOUGHTS = (
    RENDERED
    + "{% for message in messages %}{% set content = render(message.content)|trim %}"
    + "{{ '<|im_start|>' + message.role + '\n' }}"
    + "{% if message.role == 'assistant' and loop.last %}"
    + "{{ '<think>\n\n</think>\n\n' + content }}"
    + "{% else %}{{ content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    + "{% if enable_thinking is defined and enable_thinking is false %}"
    + "{{ '<think>\n\n</think>\n\n' }}{% else %}{{ '<think>\n' }}{% endif %}{% endif %}"
)
"""It puts an empty closed thought before the last assistant turn, cuts blanks at the ends of texts,
and opens a thought where the model is to write (the kind of Qwen3.5 to Qwen3.8)."""

PICTURES_FIRST = (
    HEAD
    + "{% for part in message.content %}{% if part.type == 'image' %}"
    + PICTURE
    + "{% endif %}{% endfor %}"
    + TEXTS
    + TAIL
)
"""It writes a turn's pictures before its texts (LLaVA's kind)."""

NUMBERS_PICTURES = (
    "{% set count = namespace(value=0) %}"
    + HEAD
    + "{% for part in message.content %}{% if part.type == 'image' %}"
    + "{% set count.value = count.value + 1 %}{{ 'Picture ' ~ count.value ~ ': ' }}"
    + PICTURE
    + "{% else %}{{ part.text }}{% endif %}{% endfor %}"
    + TAIL
)
REFUSES_SYSTEM = (
    "{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + PLAIN
)
"""Gemma's kind."""
NO_PICTURES = HEAD + TEXTS + TAIL
