/** `fender central`: the service that vehicles report to. */
import { Command, Option } from 'commander';
import { EXIT_HELP } from '../exit-codes.ts';
import { run, wholeNumber } from '../run.ts';

interface Options {
  readonly data: string;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly mqttHost: string;
  readonly mqttPort: number;
  readonly mqttUrl?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export function centralCommand(): Command {
  const port = (name: string) => wholeNumber(name, 0, 65_535);
  return new Command('central')
    .summary('run the central service: broker, ingest, API and dashboard')
    .description(
      'Takes in what vehicles send over MQTT, stores it once and for all, and shows it on a dashboard and a REST API ' +
        '(/api/openapi.json). It listens on this machine only, unless told otherwise.',
    )
    .addOption(new Option('--data <folder>', 'database and files').env('FENDER_DATA').default('var/central'))
    .addOption(
      new Option('--http-host <address>', 'where the dashboard listens').env('FENDER_HTTP_HOST').default('127.0.0.1'),
    )
    .addOption(
      new Option('--http-port <number>', 'its port').env('FENDER_HTTP_PORT').default(8080).argParser(port('http-port')),
    )
    .addOption(
      new Option('--mqtt-host <address>', 'where the embedded broker listens')
        .env('FENDER_MQTT_HOST')
        .default('127.0.0.1'),
    )
    .addOption(
      new Option('--mqtt-port <number>', 'its port').env('FENDER_MQTT_PORT').default(1883).argParser(port('mqtt-port')),
    )
    .addOption(new Option('--mqtt-url <url>', 'use this broker instead of the embedded one').env('FENDER_MQTT_URL'))
    .addOption(
      new Option('--tls-ca <file>', 'authority of the vehicles’ certificates; with it MQTT is TLS only').env(
        'FENDER_TLS_CA',
      ),
    )
    .addOption(new Option('--tls-cert <file>', 'certificate of the broker').env('FENDER_TLS_CERT'))
    .addOption(new Option('--tls-key <file>', 'its key').env('FENDER_TLS_KEY'))
    .addHelpText(
      'after',
      `${EXIT_HELP}

Examples:
  fender central --data /var/lib/fender-central
  fender central --mqtt-url mqtts://broker.example:8883 --tls-ca ca.pem --tls-cert central.pem --tls-key central.key`,
    )
    .action((options: Options) =>
      run(async (signal) => {
        const { runCentral } = await import('../../central/main.ts');
        const { tlsCa, tlsCert, tlsKey } = options;
        return runCentral(
          {
            dataDir: options.data,
            httpHost: options.httpHost,
            httpPort: options.httpPort,
            mqttHost: options.mqttHost,
            mqttPort: options.mqttPort,
            ...(options.mqttUrl ? { mqttUrl: options.mqttUrl } : {}),
            ...(tlsCa || tlsCert || tlsKey ? { tls: { caPath: tlsCa, certPath: tlsCert, keyPath: tlsKey } } : {}),
          },
          signal,
        );
      }),
    );
}
