/** The AsyncAPI document is valid YAML, resolves its own references and names every topic and message of the contract. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  blobChunkTopic,
  blobOfferTopic,
  blobStatusTopic,
  downTopics,
  topicOf,
  upTopics,
} from '../../sync/wire/topics.ts';
import { file_sync_wire_wire } from '../../sync/wire/wire_pb.js';

interface Document {
  readonly asyncapi: string;
  readonly channels: Record<string, { address: string; messages: object }>;
  readonly operations: Record<string, { action: string; channel: { $ref: string } }>;
  readonly components: { messages: Record<string, { name: string }> };
}

const text = readFileSync(join(import.meta.dirname, '../../sync/wire/asyncapi.yaml'), 'utf8');
const document = parse(text) as Document;

describe('asyncapi.yaml', () => {
  it('is AsyncAPI 3 and every reference leads somewhere', () => {
    expect(document.asyncapi).toMatch(/^3\./);
    const references = [...text.matchAll(/\$ref: ['"]#\/([^'"]+)['"]/g)].map(([, path]) => path ?? '');
    expect(references.length).toBeGreaterThan(20);
    for (const path of references) {
      const found = path
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
      expect(found, path).toBeDefined();
    }
  });

  it('names every topic of the contract and no other', () => {
    const sha256 = '0'.repeat(64);
    const topics = [
      ...[...upTopics, ...downTopics].map((kind) => topicOf('v', kind)),
      blobOfferTopic('v', sha256),
      blobStatusTopic('v', sha256),
      blobChunkTopic('v', sha256, 0),
    ];
    const addresses = Object.values(document.channels).map(({ address }) =>
      address.replace('{vehicle}', 'v').replace('{sha256}', sha256).replace('{offset}', '0'),
    );
    expect(addresses.sort()).toEqual(topics.sort());
  });

  it('has an operation for every channel in the direction that topics.ts says', () => {
    for (const [name, channel] of Object.entries(document.channels)) {
      const operations = Object.values(document.operations).filter(
        ({ channel: { $ref } }) => $ref === `#/channels/${name}`,
      );
      const isDown = (downTopics as readonly string[]).includes(name) || name === 'blobStatus';
      expect(
        operations.map(({ action }) => action),
        channel.address,
      ).toEqual([isDown ? 'receive' : 'send']);
    }
  });

  it('names only messages that wire.proto defines', () => {
    const defined = file_sync_wire_wire.messages.map(({ typeName }) => typeName);
    for (const { name } of Object.values(document.components.messages)) {
      if (name !== 'chunk') expect(defined).toContain(name);
    }
  });
});
