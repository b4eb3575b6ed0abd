"""A call for the box [10, 20, 110, 120] in the forms that models write."""

from __future__ import annotations

import json

from speceyes_plugins.agents.deepeyes.agent import TOOL

# How a call wraps its arguments; @ stands for them and $ for them as JSON text.
WRAPPERS = (
    '{"name": "TOOL", "arguments": @}',
    '{"arguments": @, "name": "TOOL"}',
    '{"name": "TOOL", "parameters": @}',
    '{"name": "TOOL", "args": @}',
    '{"tool": "TOOL", "input": @}',
    '{"function": "TOOL", "arguments": @}',
    '{"action": "TOOL", "action_input": @}',
    '{"name": "TOOL", "arguments": $}',
    '{"type": "function", "function": {"name": "TOOL", "arguments": @}}',
    '{"type": "function", "function": {"name": "TOOL", "arguments": $}}',
    '{"tool_calls": [{"id": "1", "function": {"name": "TOOL", "arguments": $}}]}',
    '{"function_call": {"name": "TOOL", "arguments": $}}',
    '{"tool_call": {"name": "TOOL", "arguments": @}}',
    '[{"name": "TOOL", "arguments": @}]',
    '[[{"name": "TOOL", "arguments": @}]]',
    '{"TOOL": @}',
    '{"name": "TOOL", "argument": @}',
    '{"name": "image_zom_in_tool", "arguments": @}',
    '{"arguments": @}',
    '{"name": "functions.TOOL", "arguments": @}',
    '{"name": "Image_Zoom_In_Tool", "arguments": @}',
    '{"name": "image_zoom_in", "arguments": @}',
    '```json\n{"name": "TOOL", "arguments": @}\n```',
    '```\n{"name": "TOOL", "arguments": @}\n```',
    '```tool_call\n{"name": "TOOL", "arguments": @}',
    'I zoom in. {"name": "TOOL", "arguments": @}',
    'I zoom [closely] (see {this}). {"name": "TOOL", "arguments": @} There.',
    '{"name": "TOOL", "arguments": @}\n{"name": "TOOL", "arguments": {"bbox_2d": [1, 2, 30, 40]}}',
    '[{"name": "TOOL", "arguments": @}, {"name": "TOOL", "arguments": {"bbox_2d": [1, 2, 3, 4]}}]',
    '{"name": "TOOL", "arguments": @',
    '{"name": "TOOL", "arguments": @}}',
    '{"name": "TOOL", "arguments": @,}',
    "{'name': 'TOOL', 'arguments': @}",
    "{name: 'TOOL', arguments: @}",
    '{"name": "TOOL" "arguments": @}',
    '{"name": "TOOL", // zoom\n "arguments": @ /* done */}',
    "TOOL(@)",
    "TOOL\n@",
    "✿FUNCTION✿: TOOL\n✿ARGS✿: @",
    "@",
)  # fmt: skip
ARGUMENTS = (
    '{"bbox_2d": [10, 20, 110, 120]}',
    '{"bbox_2d": [10, 20, 110, 120], "label": "a sign"}',
    '{"label": "a sign", "bbox_2d": [10, 20, 110, 120]}',
    '{"bbox_2d": [10.0, 20.0, 110.0, 120.0], "label": null}',
    '{"bbox": [10, 20, 110, 120]}',
    '{"bbox_2d": ["10", "20", "110", "120"]}',
    '{"bbox_2d": [[10, 20, 110, 120]]}',
    '{"bbox_2d": "10, 20, 110, 120"}',
    '{"bbox_2d": {"x1": 10, "y1": 20, "x2": 110, "y2": 120}}',
    '{"bbox_2d": [110, 120, 10, 20]}',
)
LOOSE = (
    '{"bbox_2d": 10, 20, 110, 120], "label": "a sign"}',
    '{"bbox_2d": 10, 20, 110, 120}',
    '{bbox_2d": [10, 20, 110, 120]}',
    '{"bbox_2": [10, 20, 110, 120], "label": "a sign"}',
    "{'bbox_2d': [10, 20, 110, 120], 'label': 'the dog's bowl'}",
    '{"bbox_2d": (10, 20, 110, 120)}',
    '{"bbox_2d": [10, 20, 110, 120,], }',
    '{"bbox_2d": [10 20 110 120]}',
    '{"label": "the "big" sign", "bbox_2d": [10, 20, 110, 120]}',
    '{"bbox_2d": [10, 20, 110, 120], "label": "the "big" sign"}',
    '{"bbox_2d": [10, 20, 110, 120], "label": "two\nlines"}',
    '{"bbox_2d": [10, 20, 110, 120}',
    "{bbox_2d: [10, 20, 110, 120], label: a sign}",
    '{"bbox_2d": [10, 20, 110, 120], "label": True}',
)  # fmt: skip
OTHERS = (
    "<function=TOOL>\n<parameter=bbox_2d>\n[10, 20, 110, 120]\n</parameter>\n</function>",
    "<function=TOOL><parameter=bbox_2d>[10, 20, 110, 120]</parameter><parameter=label>a</function>",
    "<function=TOOL>\n<parameter=label>a sign\n<parameter=bbox_2d>[10, 20, 110, 120]",
    '<function name="TOOL"><parameter name="bbox_2d">[10, 20, 110, 120]</parameter></function>',
    '<invoke name="TOOL">\n<parameter name="bbox_2d">[10, 20, 110, 120]</parameter>\n</invoke>',
    "TOOL\n<arg_key>bbox_2d</arg_key>\n<arg_value>[10, 20, 110, 120]</arg_value>",
    "<parameter=bbox_2d>10, 20, 110, 120</parameter>",
    "I zoom in.\n<Function=TOOL>\n<Parameter=bbox>[10, 20, 110, 120]</Parameter></Function>",
    '<function=TOOL>{"bbox_2d": [10, 20, 110, 120]}</function>',
    "TOOL(bbox_2d=[10, 20, 110, 120], label='a sign')",
    "TOOL(10, 20, 110, 120)",
    "TOOL([10, 20, 110, 120])",
    "functions.TOOL(label='a sign', bbox_2d=(10, 20, 110, 120))",
    "[10, 20, 110, 120]",
    '{"name": "TOOL", "bbox_2d": [10, 20, 110, 120], "label": "a sign"}',
    '{"name": "TOOL", "x1": 10, "y1": 20, "x2": 110, "y2": 120}',
    '{"name": "TOOL", "arguments": [10, 20, 110, 120]}',
    '{"name": "TOOL", "arguments": "10, 20, 110, 120"}',
    '{"name": "TOOL", "arguments": "{"bbox_2d": [10, 20, 110, 120]}"}',
    '{"bbox_2d": [10, 20, 110, 120], "label": "a sign"}',
)


def filled(wrapper: str, arguments: str) -> str:
    text = wrapper.replace("$", json.dumps(arguments)).replace("@", arguments)
    return text.replace("TOOL", TOOL)


STRICT = [filled(wrapper, a) for wrapper in WRAPPERS[:2] for a in ARGUMENTS[:4]]
"""As the prompt asks for."""
MENDED = [
    *(filled(w, a) for w in WRAPPERS[:2] for a in ARGUMENTS[4:]),
    *(filled(w, a) for w in WRAPPERS[2:] for a in ARGUMENTS),
    *(filled(w, a) for w in (*WRAPPERS[:4], WRAPPERS[7]) for a in LOOSE),
    *(filled(text, "") for text in OTHERS),
]
MARKUP = filled(OTHERS[0], "")
