// Plays scenes with the official clients: reads one a line, as JSON, from standard input and answers with what the client has heard.
// Started by tests/sdk/clients/node.py, which gives the address, the token and the words that are always the same.

import readline from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const { url, token, system, most, tool, format } = JSON.parse(process.argv[2]);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0, timeout: 20_000 });
const anthropic = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0, timeout: 20_000 });
const google = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: url, timeout: 20_000 } });

class Refused extends Error {
  constructor(told) {
    super(told.message);
    this.told = told;
  }
}

function refusal(error, begun, param = "") {
  const status = begun ? 0 : (error.status ?? 0);
  const after = error.headers?.get?.("retry-after") ?? "";
  return new Refused({ status, kind: error.constructor.name, message: error.message, retry_after: after, begun, param });
}

const png = (data) => `data:image/png;base64,${data}`;
const pdf = (data) => `data:application/pdf;base64,${data}`;

const clients = {
  async chat(ask) {
    const parts = [{ type: "text", text: ask.text }];
    if (ask.image) parts.push({ type: "image_url", image_url: { url: png(ask.image) } });
    if (ask.document) parts.push({ type: "file", file: { filename: "a.pdf", file_data: pdf(ask.document) } });
    const messages = [{ role: "system", content: system }, { role: "user", content: parts.length > 1 ? parts : ask.text }];
    if (ask.before) {
      messages.push(ask.before.turn);
      for (const call of ask.before.calls) messages.push({ role: "tool", tool_call_id: call.id, content: call.result });
    }
    const body = { model: ask.model, messages, max_completion_tokens: most };
    if (ask.tool) body.tools = [{ type: "function", function: tool }];
    if (ask.force) body.tool_choice = { type: "function", function: { name: tool.name } };
    if (ask.schema) body.response_format = { type: "json_schema", json_schema: { ...format, strict: true } };
    if (ask.think) body.reasoning_effort = "high";
    if (ask.stop) body.stop = [ask.stop];
    if (ask.several) body.n = ask.several;
    if (ask.logprobs) Object.assign(body, { logprobs: true, top_logprobs: 1 });
    let begun = "";
    let thoughts = "";
    let answer;
    try {
      if (ask.stream) {
        const stream = openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
        stream.on("content.delta", (event) => (begun += event.delta));
        // The helper keeps the last piece of a field that it does not know.
        stream.on("chunk", (chunk) => (thoughts += chunk.choices[0]?.delta?.reasoning_content ?? chunk.choices[0]?.delta?.reasoning ?? ""));
        answer = await stream.finalChatCompletion();
      } else answer = await openai.chat.completions.create(body);
    } catch (error) {
      throw error instanceof OpenAI.APIError ? refusal(error, begun, error.param ?? "") : error;
    }
    const { message, finish_reason, logprobs } = answer.choices[0];
    const { parsed, ...turn } = message;
    const calls = message.tool_calls ?? [];
    return {
      text: answer.choices.map((choice) => choice.message.content ?? "").join("|"),
      calls: calls.map((call) => ({ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) })),
      thoughts: thoughts || (message.reasoning_content ?? message.reasoning ?? ""),
      finish: finish_reason,
      tokens: [answer.usage.prompt_tokens, answer.usage.completion_tokens],
      logprob: logprobs?.content?.[0]?.logprob ?? null,
      turn,
    };
  },

  async responses(ask) {
    const parts = [{ type: "input_text", text: ask.text }];
    if (ask.image) parts.push({ type: "input_image", image_url: png(ask.image), detail: "auto" });
    if (ask.document) parts.push({ type: "input_file", filename: "a.pdf", file_data: pdf(ask.document) });
    const input = [{ role: "user", content: parts.length > 1 ? parts : ask.text }];
    if (ask.before) {
      input.push(...ask.before.turn);
      for (const call of ask.before.calls) input.push({ type: "function_call_output", call_id: call.id, output: call.result });
    }
    const body = { model: ask.model, instructions: system, input, max_output_tokens: most, store: false };
    if (ask.tool) body.tools = [{ type: "function", ...tool, strict: true }];
    if (ask.force) body.tool_choice = { type: "function", name: tool.name };
    if (ask.schema) body.text = { format: { type: "json_schema", ...format, strict: true } };
    if (ask.think) Object.assign(body, { reasoning: { effort: "high", summary: "auto" }, include: ["reasoning.encrypted_content"] });
    if (ask.logprobs) Object.assign(body, { include: ["message.output_text.logprobs"], top_logprobs: 1 });
    let begun = "";
    let answer;
    try {
      if (ask.stream) {
        for await (const event of await openai.responses.create({ ...body, stream: true })) {
          if (event.type === "response.output_text.delta") begun += event.delta;
          if (event.type === "error") throw new Refused({ status: 0, kind: "error", message: event.message, begun });
          if (event.type === "response.failed") {
            throw new Refused({ status: 0, kind: "response.failed", message: event.response.error.message, begun });
          }
          if (["response.completed", "response.incomplete"].includes(event.type)) answer = event.response;
        }
      } else answer = await openai.responses.create(body);
    } catch (error) {
      throw error instanceof OpenAI.APIError ? refusal(error, begun, error.param ?? "") : error;
    }
    const of = (type) => answer.output.filter((item) => item.type === type);
    const said = of("message").flatMap((item) => item.content);
    return {
      text: said.map((part) => part.text ?? part.refusal).join(""),
      calls: of("function_call").map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) })),
      thoughts: of("reasoning").flatMap((item) => item.summary).map((part) => part.text).join(""),
      finish: answer.incomplete_details ? `incomplete: ${answer.incomplete_details.reason}` : answer.status,
      tokens: [answer.usage.input_tokens, answer.usage.output_tokens],
      logprob: said[0]?.logprobs?.[0]?.logprob ?? null,
      turn: answer.output,
    };
  },

  async messages(ask) {
    const parts = [];
    const source = (media_type, data) => ({ type: "base64", media_type, data });
    if (ask.image) parts.push({ type: "image", source: source("image/png", ask.image) });
    if (ask.document) parts.push({ type: "document", source: source("application/pdf", ask.document) });
    parts.push({ type: "text", text: ask.text });
    const messages = [{ role: "user", content: parts.length > 1 ? parts : ask.text }];
    if (ask.before) {
      messages.push({ role: "assistant", content: ask.before.turn });
      const results = ask.before.calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: call.result }));
      messages.push({ role: "user", content: results });
    }
    const body = { model: ask.model, max_tokens: most, system, messages };
    const output = {};
    if (ask.tool) body.tools = [{ name: tool.name, description: tool.description, input_schema: tool.parameters }];
    if (ask.force) body.tool_choice = { type: "tool", name: tool.name };
    if (ask.schema) output.format = { type: "json_schema", schema: format.schema };
    if (ask.think) {
      body.thinking = { type: "adaptive", display: "summarized" };
      output.effort = "high";
    }
    if (ask.stop) body.stop_sequences = [ask.stop];
    if (Object.keys(output).length) body.output_config = output;
    let begun = "";
    let answer;
    try {
      if (ask.stream) {
        const stream = anthropic.messages.stream(body);
        stream.on("text", (text) => (begun += text));
        answer = await stream.finalMessage();
      } else answer = await anthropic.messages.create(body);
    } catch (error) {
      const param = error.error?.error?.details?.param ?? "";
      throw error instanceof Anthropic.APIError ? refusal(error, begun, param) : error;
    }
    const of = (type) => answer.content.filter((block) => block.type === type);
    const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = answer.usage;
    return {
      text: of("text").map((block) => block.text).join(""),
      calls: of("tool_use").map((block) => ({ id: block.id, name: block.name, arguments: block.input })),
      thoughts: of("thinking").map((block) => block.thinking).join(""),
      finish: answer.stop_reason,
      tokens: [input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0), output_tokens],
      turn: answer.content,
    };
  },

  async gemini(ask) {
    const parts = [{ text: ask.text }];
    if (ask.image) parts.push({ inlineData: { mimeType: "image/png", data: ask.image } });
    if (ask.document) parts.push({ inlineData: { mimeType: "application/pdf", data: ask.document } });
    const contents = [{ role: "user", parts }];
    if (ask.before) {
      contents.push(ask.before.turn);
      const told = ({ id, name, result }) => ({ functionResponse: { ...(id ? { id } : {}), name, response: { result } } });
      contents.push({ role: "user", parts: ask.before.calls.map(told) });
    }
    const config = { systemInstruction: system, maxOutputTokens: most };
    if (ask.tool) {
      const { name, description, parameters } = tool;
      config.tools = [{ functionDeclarations: [{ name, description, parametersJsonSchema: parameters }] }];
    }
    if (ask.force) config.toolConfig = { functionCallingConfig: { mode: "ANY", allowedFunctionNames: [tool.name] } };
    if (ask.schema) Object.assign(config, { responseMimeType: "application/json", responseJsonSchema: format.schema });
    if (ask.think) config.thinkingConfig = { thinkingLevel: "HIGH", includeThoughts: true };
    if (ask.stop) config.stopSequences = [ask.stop];
    if (ask.several) config.candidateCount = ask.several;
    if (ask.logprobs) Object.assign(config, { responseLogprobs: true, logprobs: 1 });
    const body = { model: ask.model, contents, config };
    let begun = "";
    const chunks = [];
    try {
      if (ask.stream) {
        for await (const chunk of await google.models.generateContentStream(body)) {
          chunks.push(chunk);
          begun += chunk.text ?? "";
        }
      } else chunks.push(await google.models.generateContent(body));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Its message is the error's JSON, and it keeps no headers.
      const delay = /"retryDelay":\s*"(\d+)s"/.exec(error.message);
      const refused = refusal(error, begun);
      refused.told.retry_after = delay ? delay[1] : "";
      throw refused;
    }
    const texts = [];
    const all = [];
    let finish = "";
    let usage;
    let logprob = null;
    for (const chunk of chunks) {
      usage = chunk.usageMetadata ?? usage;
      for (const candidate of chunk.candidates ?? []) {
        const index = candidate.index ?? 0;
        const found = candidate.content?.parts ?? [];
        const plain = found.filter((part) => part.text && !part.thought);
        texts[index] = (texts[index] ?? "") + plain.map((part) => part.text).join("");
        if (index) continue;
        all.push(...found);
        finish = candidate.finishReason ?? finish;
        logprob = candidate.logprobsResult?.chosenCandidates?.[0]?.logProbability ?? logprob;
      }
    }
    const called = all.filter((part) => part.functionCall).map((part) => part.functionCall);
    return {
      text: texts.join("|"),
      calls: called.map(({ id, name, args }) => ({ id: id ?? "", name, arguments: args })),
      thoughts: all.filter((part) => part.thought).map((part) => part.text).join(""),
      finish,
      tokens: [usage.promptTokenCount, (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0)],
      logprob,
      turn: { role: "model", parts: all.filter((part) => part.text !== "" || part.thoughtSignature) },
    };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { client, ask } = JSON.parse(line);
  let heard;
  try {
    heard = await clients[client](ask);
  } catch (error) {
    heard = error instanceof Refused ? { refused: error.told } : { failed: error.stack };
  }
  console.log(JSON.stringify(heard));
}
