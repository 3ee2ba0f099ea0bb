"""The way from one worker to its servers hangs, is cut, slow or narrow; the servers are well."""

from collections.abc import Callable
from typing import Final

from tests.chaos.faults import Drawn, Fault, Scene
from tests.support.servers import TcpProxy

_LATENCY_SECONDS: Final = 0.1
_BYTES_PER_SECOND: Final = 20_000.0

#: What hangs is noticed within 30 s; the longer ones end by themselves.
_HANG_SECONDS: Final = (10.0, 45.0)
_HANG_GAP_SECONDS: Final = 30.0
_SECONDS: Final = (3.0, 8.0)


def _hang(proxy: TcpProxy) -> Callable[[], None]:
    # For good: what hangs does not come back, and new connections are as ever.
    proxy.freeze()
    return proxy.cut


def _stop(proxy: TcpProxy) -> Callable[[], None]:
    proxy.freeze(new=True)
    return proxy.thaw


def _slow_down(proxy: TcpProxy) -> Callable[[], None]:
    proxy.latency_seconds = _LATENCY_SECONDS

    def speed_up() -> None:
        proxy.latency_seconds = 0.0

    return speed_up


def _narrow(proxy: TcpProxy) -> Callable[[], None]:
    proxy.bytes_per_second = _BYTES_PER_SECOND

    def widen() -> None:
        proxy.bytes_per_second = None

    return widen


def _cut(proxy: TcpProxy) -> Callable[[], None]:
    proxy.cut()
    return lambda: None


def _on(
    target: str, act: Callable[[TcpProxy], Callable[[], None]]
) -> Callable[[Scene, Drawn], str]:
    """Do this to one worker's way to a server."""

    def strike(scene: Scene, drawn: Drawn) -> str:
        proxy = scene.world.links[target][drawn.which]
        scene.world.lasting(drawn.target, drawn.seconds, act(proxy))
        return f"worker {drawn.which + 1}, {drawn.seconds:.1f} s"

    return strike


def _of(server: str, target: str, needs: str = "") -> tuple[Fault, ...]:
    return (
        Fault(
            f"{server} hangs",
            target,
            _on(target, _hang),
            _HANG_SECONDS,
            _HANG_GAP_SECONDS,
            needs,
        ),
        Fault(f"{server} unresponsive", target, _on(target, _stop), _SECONDS, needs=needs),
        Fault(f"{server} cut", target, _on(target, _cut), needs=needs),
        Fault(f"{server} 0.1 s longer", target, _on(target, _slow_down), _SECONDS, needs=needs),
        Fault(f"{server} at 20 kB/s", target, _on(target, _narrow), _SECONDS, needs=needs),
    )


NETWORK_KINDS: Final = (
    *_of("link to Redis", "redis link"),
    *_of("link to PostgreSQL", "database link", "postgres"),
)
