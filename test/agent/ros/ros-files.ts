/** A ROS 2 and an rclnodejs that are there only as files, for what is decided by looking at files. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A ROS 2 and an rclnodejs as files; `without` names what is missing. */
export async function rosFiles(folder: string, without: 'nothing' | 'addon' | 'messages' | 'rclnodejs' = 'nothing') {
  const prefix = join(folder, 'ros');
  const packageFolder = join(folder, 'rclnodejs');
  await mkdir(join(prefix, 'lib'), { recursive: true });
  await writeFile(join(prefix, 'lib', 'librmw_cyclonedds_cpp.so'), '');
  await writeFile(join(prefix, 'lib', 'librmw_dds_common.so'), '');
  await mkdir(join(prefix, 'share', 'car_msgs', 'msg'), { recursive: true });
  await writeFile(join(prefix, 'share', 'car_msgs', 'msg', 'Wheel.msg'), 'std_msgs/Header header\nSlip slip # of it\n');
  await writeFile(join(prefix, 'share', 'car_msgs', 'msg', 'Slip.msg'), 'float64 ratio\n');
  await mkdir(join(prefix, 'share', 'sensor_msgs', 'msg'), { recursive: true });
  await writeFile(join(prefix, 'share', 'sensor_msgs', 'msg', 'Imu.msg'), 'uint32 count\n');
  await mkdir(join(prefix, 'share', 'memory_msgs', 'msg'), { recursive: true });
  await writeFile(join(prefix, 'share', 'memory_msgs', 'msg', 'Reply.msg'), 'string data\n');
  if (without !== 'addon') {
    await mkdir(join(packageFolder, 'build', 'Release'), { recursive: true });
    await writeFile(join(packageFolder, 'build', 'Release', 'rclnodejs.node'), '');
  }
  if (without !== 'messages') {
    for (const name of ['rcl_interfaces', 'std_srvs', 'builtin_interfaces']) {
      await mkdir(join(packageFolder, 'generated', name), { recursive: true });
    }
    await writeFile(join(packageFolder, 'generated', 'generator.json'), '{}');
  }
  return {
    env: { ROS_DISTRO: 'jazzy', AMENT_PREFIX_PATH: prefix } as Record<string, string>,
    packageFolder: without === 'rclnodejs' ? null : packageFolder,
    ubuntuCodename: 'noble',
  };
}
