"""Read and write videos: files, folders of frames, photos, animations, arrays and iterators. The only part that uses PyAV.

Not here: live streams, network addresses, sound for itself (that of a source is carried over), tone mapping, deinterlacing.
"""

from videoseg_r1.video.base import DEFAULT_FPS, OnCorrupt, Video
from videoseg_r1.video.opening import Source, open_video
from videoseg_r1.video.write import VideoWriter, write_video

__all__ = ["DEFAULT_FPS", "OnCorrupt", "Source", "Video", "VideoWriter", "open_video", "write_video"]
