"""Which DDS domain to join, and over which network interfaces.

Without configuration pocketros stays on the loopback interface.  In the order of their precedence:
`CYCLONEDDS_URI` (used as it is), `ROS_AUTOMATIC_DISCOVERY_RANGE` (LOCALHOST, SUBNET, OFF, SYSTEM_DEFAULT),
`ROS_LOCALHOST_ONLY` (1: loopback, 0: SUBNET), else LOCALHOST.  `ROS_STATIC_PEERS` adds peers, and opens the
default range to SUBNET.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cyclonedds.core import Entity
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.qos import Policy, Qos

from pocketros.errors import PocketrosError

HIGHEST_DOMAIN, HIGHEST_INDEX = 232, 120
RANGES = ("LOCALHOST", "SUBNET", "OFF", "SYSTEM_DEFAULT")
IFF_MULTICAST = 0x1000
# Fast DDS 3 describes types with messages in them as Cyclone DDS takes for invalid, and then endpoints do not match.
# Without a description they match by the names of their types.
FAST_DDS = "1.15"


def domain_id_from_environment() -> int:
    """ROS_DOMAIN_ID, 0 when unset.

    Raises:
        PocketrosError: not a number from 0 to 232.
    """
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not text.isdigit() or int(text) > HIGHEST_DOMAIN:
        raise PocketrosError(f"ROS_DOMAIN_ID is '{text}'; expected a number from 0 to {HIGHEST_DOMAIN}")
    return int(text)


def discovery_range() -> str:
    """The range of discovery that the environment asks for."""
    opened = os.environ.get("ROS_LOCALHOST_ONLY") == "0" or os.environ.get("ROS_STATIC_PEERS")
    asked = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").strip().upper() or ("SUBNET" if opened else RANGES[0])
    if asked not in RANGES:
        raise PocketrosError(f"ROS_AUTOMATIC_DISCOVERY_RANGE is '{asked}'; expected one of {', '.join(RANGES)}")
    return asked


def loopback_multicasts() -> bool:
    """Whether the loopback interface is flagged for multicast."""
    try:
        return bool(int(Path("/sys/class/net/lo/flags").read_text(), 16) & IFF_MULTICAST)
    except (OSError, ValueError):
        return False


def configuration() -> str:
    """The Cyclone DDS configuration (XML) of this environment."""
    if given := os.environ.get("CYCLONEDDS_URI"):
        return given
    reach = discovery_range()
    if reach == "SYSTEM_DEFAULT":
        return ""
    peers = [peer for peer in os.environ.get("ROS_STATIC_PEERS", "").split(";") if peer and reach == "SUBNET"]
    general = "<MaxMessageSize>65500B</MaxMessageSize>"
    if reach == "LOCALHOST":
        multicast = str(loopback_multicasts()).lower()
        interface = 'name="lo"' if Path("/sys/class/net/lo").exists() else 'address="127.0.0.1"'
        general += f'<Interfaces><NetworkInterface {interface} multicast="{multicast}"/></Interfaces>'
        general += f"<AllowMulticast>{multicast}</AllowMulticast>"
        peers = [] if multicast == "true" else ["127.0.0.1"]
    elif reach == "OFF":
        general += "<AllowMulticast>false</AllowMulticast>"
    listed = "".join(f"<Peer address={quoteattr(peer)}/>" for peer in peers)
    discovery = f"<Peers>{listed}</Peers>" if listed else ""
    discovery += f"<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>{HIGHEST_INDEX}"
    return (
        f"<CycloneDDS><Domain><General>{general}</General><Discovery>{discovery}</MaxAutoParticipantIndex></Discovery>"
        f"<Compatibility><IgnoreTypeInformation>{FAST_DDS}</IgnoreTypeInformation></Compatibility>"
        '<Internal><SocketReceiveBufferSize min="default" max="4MB"/></Internal></Domain></CycloneDDS>'
    )


_lock = threading.Lock()
_domains: dict[int, tuple[Domain, int]] = {}


def open_participant(domain_id: int) -> DomainParticipant:
    """A new participant; the first one of a domain in this process configures the domain.

    Raises:
        PocketrosError: DDS refuses it, or the environment asks for encryption.
    """
    if os.environ.get("ROS_SECURITY_ENABLE") == "true":
        raise PocketrosError(
            "ROS_SECURITY_ENABLE is 'true', but pocketros does not encrypt; SROS 2 needs a genuine ROS 2"
        )
    with _lock:
        domain, users = _domains.get(domain_id) or (Domain(domain_id, configuration()), 0)
        _domains[domain_id] = (domain, users + 1)
    try:
        return DomainParticipant(domain_id, qos=Qos(Policy.Userdata(b"enclave=/;")))
    except Exception as error:
        _release(domain_id)
        raise PocketrosError(f"cannot join ROS domain {domain_id}: {error}") from error


def close_participant(domain_id: int, participant: DomainParticipant) -> None:
    """Delete a participant with all its endpoints, and its domain when it was the last one."""
    delete_entity(participant)
    _release(domain_id)


def _release(domain_id: int) -> None:
    with _lock:
        domain, users = _domains.pop(domain_id)
        if users > 1:
            _domains[domain_id] = (domain, users - 1)
        else:
            delete_entity(domain)


def delete_entity(entity: Entity) -> None:
    """Delete an entity now, not when Python collects it; harmless when it is deleted already."""
    if Entity._entities.pop(entity._ref, None) is not None:
        entity._delete(entity._ref)
