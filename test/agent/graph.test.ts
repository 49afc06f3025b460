import { describe, expect, it } from 'vitest';
import { Graph, type Topic } from '../../agent/graph.ts';
import type { Stamp } from '../../drivers/sample.ts';

const STAMP: Stamp = {
  capturedAtNs: 1n,
  monotonicNs: 1n,
  bootId: '00000000-0000-0000-0000-000000000000',
  synchronised: false,
  estimatedErrorNs: null,
};
const numbers: Topic<number> = { name: '/n', type: 'test/msg/N', encode: (value) => Uint8Array.of(value) };

describe('the graph', () => {
  it('delivers every message in order, with its value, its bytes and a sequence without gaps', () => {
    const graph = new Graph();
    const seen: string[] = [];
    graph.subscribe(numbers, 'typed', (message) => seen.push(`typed ${message.sequence} ${message.value}`));
    graph.subscribeAll('all', (message) => seen.push(`all ${message.topic} ${message.data.join()}`));
    const publish = graph.advertise(numbers);
    publish(STAMP, 7);
    publish(STAMP, 8);
    expect(seen).toEqual(['typed 0 7', 'all /n 7', 'typed 1 8', 'all /n 8']);
  });

  it('a subscriber that throws is counted and harms neither the others nor the publisher', () => {
    const errors: string[] = [];
    const graph = new Graph((where, error) => errors.push(`${where}: ${(error as Error).message}`));
    const seen: number[] = [];
    graph.subscribe(numbers, 'bad', () => {
      throw new Error('boom');
    });
    graph.subscribe(numbers, 'good', (message) => seen.push(message.value));
    const publish = graph.advertise(numbers);
    publish(STAMP, 1);
    publish(STAMP, 2);
    expect(seen).toEqual([1, 2]);
    expect(errors).toEqual(['bad on /n: boom', 'bad on /n: boom']);
    expect(graph.statistics()).toEqual([{ topic: '/n', published: 2, subscriberErrors: 2, encodeErrors: 0 }]);
  });

  it('a value that cannot be encoded reaches nobody and is counted', () => {
    const graph = new Graph();
    const publish = graph.advertise({
      ...numbers,
      encode: () => {
        throw new RangeError('too large');
      },
    });
    publish(STAMP, 1);
    expect(graph.statistics()).toEqual([{ topic: '/n', published: 0, subscriberErrors: 0, encodeErrors: 1 }]);
  });

  it('a subscriber that leaves while being called does not cost another its message', () => {
    const graph = new Graph();
    const seen: string[] = [];
    const leave = graph.subscribe(numbers, 'first', () => {
      seen.push('first');
      leave();
    });
    graph.subscribe(numbers, 'second', () => seen.push('second'));
    const publish = graph.advertise(numbers);
    publish(STAMP, 1);
    publish(STAMP, 2);
    expect(seen).toEqual(['first', 'second', 'second']);
  });

  it('one topic has one type', () => {
    const graph = new Graph();
    graph.advertise(numbers);
    expect(() => graph.advertise({ ...numbers, type: 'test/msg/Other' })).toThrow(
      /\/n: expected type test\/msg\/N, found test\/msg\/Other/,
    );
  });
});
