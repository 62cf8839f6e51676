// Calls the gateway as a Node program does, with the official client, and checks what comes back. Run by tests/gateway/test_node.py,
// which gives the address and the token in the environment and says what the provider answers.

import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import { run } from "./run.mjs";

const origin = process.env.GATEWAY_URL;
const apiKey = process.env.GATEWAY_TOKEN;
const messages = [{ role: "user", content: "Hi" }];
const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });

async function text(stream) {
  let whole = "";
  for await (const chunk of stream) whole += chunk.choices[0]?.delta?.content ?? "";
  return whole;
}

const checks = {
  async "a chat"() {
    const { data, response } = await client.chat.completions.create({ model: "gpt-test", messages }).withResponse();
    assert.equal(data.choices[0].message.content, "Hello");
    assert.equal(data.usage.total_tokens, 11);
    assert.match(response.headers.get("x-request-id"), /^req_[0-9a-f]{32}$/);
    assert.equal(data._request_id, response.headers.get("x-request-id"));
  },

  async "a streamed chat"() {
    assert.equal(await text(await client.chat.completions.create({ model: "gpt-test", messages, stream: true })), "Hello");
  },

  async "a streamed chat with its usage"() {
    const options = { model: "gpt-test", messages, stream: true, stream_options: { include_usage: true } };
    const usages = [];
    for await (const chunk of await client.chat.completions.create(options)) if (chunk.usage) usages.push(chunk.usage);
    assert.deepEqual(usages.map((usage) => usage.total_tokens), [11]);
  },

  async "embeddings"() {
    const found = await client.embeddings.create({ model: "embed-test", input: ["a", "b"], encoding_format: "float" });
    assert.deepEqual(found.data.map((entry) => entry.embedding), [[0.6, 0, 0.8], [0.6, 0, 0.8]]);
  },

  async "a response"() {
    assert.equal((await client.responses.create({ model: "gpt-test", input: "Hi" })).output_text, "Hello");
  },

  async "a streamed response"() {
    const types = [];
    for await (const event of await client.responses.create({ model: "gpt-test", input: "Hi", stream: true })) types.push(event.type);
    assert.equal(types[0], "response.created");
    assert.equal(types.at(-1), "response.completed");
  },

  async "models"() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.ok(names.includes("gpt-test"));
    assert.equal((await client.models.retrieve("renamed")).id, "renamed");
  },

  async "azure"() {
    const azure = new AzureOpenAI({ endpoint: origin, apiKey, apiVersion: "2024-10-21", deployment: "gpt-test", maxRetries: 0 });
    const answer = await azure.chat.completions.create({ model: "gpt-test", messages });
    assert.equal(answer.choices[0].message.content, "Hello");
  },

  async "a wrong token is an AuthenticationError with our code"() {
    const stranger = client.withOptions({ apiKey: "sk-not-ours" });
    await assert.rejects(stranger.models.list(), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError);
      assert.equal(error.code, "invalid_api_key");
      assert.match(error.requestID, /^req_/);
      return true;
    });
  },

  async "an unknown model is a NotFoundError that names the field"() {
    await assert.rejects(client.chat.completions.create({ model: "unheard-of", messages }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.deepEqual([error.code, error.param], ["model_not_found", "model"]);
      return true;
    });
  },

  async "a stream that breaks off is an error, never a short answer"() {
    await assert.rejects(
      async () => text(await client.chat.completions.create({ model: "breaking", messages, stream: true })),
      (error) => {
        assert.ok(error instanceof OpenAI.APIError);
        assert.equal(error.code, "upstream_disconnected");
        return true;
      },
    );
  },
};

await run(checks);
