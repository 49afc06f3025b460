"""Starts the agent with its nodes in ROS 2, or single sensor nodes that an agent elsewhere records.

ros2 launch fender_bringup fender.launch.py config:=/etc/fender/agent.yaml
ros2 launch fender_bringup fender.launch.py nodes:=uma8,bme680 namespace:=/front
"""

import shlex
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import EnvironmentVariable, LaunchConfiguration

SENSORS = ('plantower', 'sds011', 'sps30', 'bme680', 'uma8')


def processes(context):
    """Make one process for the agent, or one for each sensor node that is named."""
    def text(name):
        return LaunchConfiguration(name).perform(context)

    home = Path(text('home'))
    fender = [str(home / 'node_modules/.bin/node'), str(home / 'bin/fender.ts')]
    config = ['--config', text('config')]
    ros_arguments = ['--ros-args', *shlex.split(text('ros_arguments'))]
    if text('namespace'):
        ros_arguments += ['-r', f'__ns:={text("namespace")}']
    nodes = [name for name in text('nodes').split(',') if name]
    unknown = [name for name in nodes if name not in SENSORS]
    if unknown:
        raise RuntimeError(f'nodes: expected some of {", ".join(SENSORS)}, found {", ".join(unknown)}')
    commands = {f'fender-{name}': [*fender, 'node', name, *config] for name in nodes}
    if not nodes:
        commands['fender-agent'] = [*fender, 'agent', *config]
    return [
        ExecuteProcess(
            name=name,
            cmd=[*command, *ros_arguments],
            output='screen',
            respawn=True,
            respawn_delay=1.0,
        )
        for name, command in commands.items()
    ]


def generate_launch_description():
    """Declare the arguments."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'home',
            default_value=EnvironmentVariable('FENDER_HOME', default_value='/opt/fender'),
            description='Where Fender is installed.',
        ),
        DeclareLaunchArgument(
            'config',
            default_value='/etc/fender/agent.yaml',
            description='The configuration of the agent; its graph.kind need not say ros2.',
        ),
        DeclareLaunchArgument(
            'nodes',
            default_value='',
            description='Sensor nodes to run alone, separated by commas; empty: the whole agent.',
        ),
        DeclareLaunchArgument('namespace', default_value='', description='Another namespace than the configured one.'),
        DeclareLaunchArgument(
            'ros_arguments',
            default_value='',
            description='More for --ros-args: "-r /uma8/audio:=/front/audio -p bme680:period_s:=2.0"',
        ),
        OpaqueFunction(function=processes),
    ])
