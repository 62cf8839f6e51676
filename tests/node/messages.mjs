// Calls the gateway with Anthropic's official client, and checks what comes back. Run by tests/gateway/test_node.py, which gives the
// address and the token in the environment and says what the provider answers, in this order.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { run } from "./run.mjs";

const baseURL = process.env.GATEWAY_URL;
const apiKey = process.env.GATEWAY_TOKEN;
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const model = "claude-test";
const messages = [{ role: "user", content: "Hi" }];
const ask = { model, max_tokens: 50, messages };

function refusal(kind, type, code) {
  return (error) => {
    assert.ok(error instanceof kind, String(error));
    assert.equal(error.error.error.type, type);
    assert.equal(error.error.error.details.error_code, code);
    return true;
  };
}

await run({
  async "a message"() {
    const { data, response } = await client.messages.create(ask).withResponse();
    assert.equal(data.content[0].text, "Hello");
    assert.equal(data.usage.input_tokens, 9);
    assert.match(response.headers.get("request-id"), /^req_[0-9a-f]{32}$/);
    assert.equal(data._request_id, response.headers.get("request-id"));
  },

  async "a streamed message"() {
    assert.equal(await client.messages.stream(ask).finalText(), "Hello");
  },

  async "a streamed call of a tool"() {
    const message = await client.messages.stream(ask).finalMessage();
    assert.deepEqual(message.content[0].input, { city: "Oslo" });
  },

  async "counting"() {
    assert.equal((await client.messages.countTokens({ model, messages })).input_tokens, 12);
  },

  async "models"() {
    const names = [];
    for await (const listed of client.models.list({ limit: 5 })) names.push(listed.id);
    assert.ok(names.includes(model));
    assert.ok(names.includes("gpt-test"));
    assert.equal((await client.models.retrieve(model)).id, model);
  },

  async "a wrong token"() {
    const stranger = client.withOptions({ apiKey: "sk-ant-not-ours" });
    await assert.rejects(stranger.messages.create(ask), refusal(Anthropic.AuthenticationError, "authentication_error", "invalid_api_key"));
  },

  async "an unknown model"() {
    const call = client.messages.create({ ...ask, model: "unheard-of" });
    await assert.rejects(call, refusal(Anthropic.NotFoundError, "not_found_error", "model_not_found"));
  },

  async "a model that speaks otherwise"() {
    const answer = await client.messages.create({ ...ask, model: "gpt-test" });
    assert.equal(answer.content[0].type, "text");
    assert.equal(answer.stop_reason, "end_turn");
  },

  async "a stream that breaks off is an error, never a short answer"() {
    const broken = async () => {
      for await (const event of await client.messages.create({ ...ask, model: "breaking", stream: true })) assert.ok(event.type);
    };
    await assert.rejects(broken, refusal(Anthropic.APIError, "api_error", "upstream_disconnected"));
  },
});
