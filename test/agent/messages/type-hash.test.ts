import { describe, expect, test } from 'vitest';
import { schemaTexts } from '../../../agent/messages/messages.ts';
import { typeHash, typeHashOrNone } from '../../../agent/messages/type-hash.ts';

describe('type hashes', () => {
  test.each([
    ['sensor_msgs/msg/Temperature', 'sensor_msgs/msg/Temperature'],
    ['diagnostic_msgs/msg/DiagnosticArray', 'diagnostic_msgs/msg/DiagnosticArray'],
  ] as const)('%s has one, and another once its text changes', (_, type) => {
    const text = schemaTexts[type];
    expect(typeHash(type, text)).toMatch(/^RIHS01_[0-9a-f]{64}$/);
    expect(typeHash(type, `${text}# a comment changes nothing`)).toBe(typeHash(type, text));
    expect(typeHash(type, text.replace('header', 'head'))).not.toBe(typeHash(type, text));
  });

  test('std_msgs/msg/Header has the hash that ROS 2 gives it', () => {
    const text = 'builtin_interfaces/Time stamp\nstring frame_id\n';
    expect(typeHash('std_msgs/msg/Header', text)).toBe(
      'RIHS01_f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01',
    );
  });

  test('a char is an unsigned byte, as in the hash that ROS 2 gives std_msgs/msg/Char', () => {
    expect(typeHash('std_msgs/msg/Char', 'char data\n')).toBe(
      'RIHS01_3ad2d04dd29ba19d04b16659afa3ccaedd691914b02a64e82e252f2fa6a586a9',
    );
  });

  test('text that is no definition has none', () => {
    expect(typeHashOrNone('a_msgs/msg/B', 'uint8[ x')).toBe('');
    expect(typeHashOrNone('a_msgs/msg/B', 'c_msgs/C missing')).toBe('');
    expect(typeHashOrNone('a_msgs/msg/B', '')).toBe('');
  });
});
