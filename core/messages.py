"""What core says to people: for each code a message (what happened) and, for errors, a hint (what to do next).

Templates are filled with the values of the error or note. A second language is a second set of these.
"""

import re
from collections.abc import Mapping
from typing import Any

# Errors of a whole action, then reasons why one file is not used. {placeholders} are values of the error.
ERRORS: Mapping[str, tuple[str, str]] = {
    "data_missing": ("There is no file or folder at {path}.", "Check the path."),
    "data_empty": ("{name} holds no files.", "Put pictures into class folders, then try again."),
    "nothing_usable": (
        "Of the {n} files that came, none can be used: {reasons}.",
        "Put each class into a folder of its own: animals/cat/1.jpg, animals/dog/1.jpg. Or say under 'More ways' of "
        "which class pictures in no folder are, and add them again.",
    ),
    "not_a_zip": ("{name} is {kind}, not a ZIP.", "Pack the class folders as a ZIP and try again."),
    "zip_truncated": ("{name} ends too early: a part of it is missing.", "Copy or upload it again."),
    "zip_damaged": ("{name} is damaged: its table of contents does not fit the file.", "Pack it again."),
    "zip_encrypted": ("{name} has a password.", "Unpack it and pack it again without a password."),
    "zip_overlap": (
        "{name} stores the same bytes under several names, as archives made to fill a disk do.",
        "Pack the pictures again with an ordinary program.",
    ),
    "zip_ratio": (
        "{name} would unpack to {mb} MB, {ratio} times its size; the limit is {limit} times.",
        "Leave that file out: pictures do not shrink that much.",
    ),
    "zip_too_large": (
        "{name} would unpack to {mb} MB; the limits are {file_mb} MB a file and {total_gb} GB in all.",
        "Leave that file out, or split the archive.",
    ),
    "upload_missing": ("The uploaded files are no longer there.", "Add them again."),
    "upload_unclear": (
        "The upload does not say what the file is called and how large it is, or sends another size.",
        "Reload the page and add the file again.",
    ),
    "upload_other": (
        "{name} is not the file that was being sent in its place: its name or its size is another.",
        "Reload the page and add the files again.",
    ),
    "upload_too_large": ("{name} has {mb} MB; the limit is {limit_mb} MB.", "Leave it out, or make it smaller."),
    "disk_low": (
        "{name} needs {need_mb} MB on the disk, 1 GB of it to work with; {free_mb} MB are free.",
        "Free some space, then go on: what was sent is kept.",
    ),
    "address_unknown": ("There is nothing at this address.", "Go back and reload the page."),
    "host_unknown": (
        "Headstart does not answer to the name {host}.",
        "Open it as localhost, or start it with that name in HEADSTART_HOSTS.",
    ),
    "origin_foreign": (
        "The request did not come from a page of Headstart.",
        "Open Headstart in the browser and do it there.",
    ),
    "too_many_files": ("There are {n} files; at most {limit} are read at a time.", "Split them into several parts."),
    "too_many_classes": ("There are {n} classes; at most {limit} are possible.", "Join or leave out classes."),
    "too_few_classes": (
        "There is {n} class with usable pictures ({names}); a model needs at least 2 to tell apart.",
        "Add pictures of another class.",
    ),
    "too_few_pictures": (
        "The class '{label}' has {n} picture; at least 2 are needed.",
        "Add pictures of '{label}', or leave the class out.",
    ),
    "version_missing": (
        "The pictures of the training of {when} were not kept.",
        "Choose another version.",
    ),
    "test_is_locked": (
        "The test part is locked, since a run has been measured on it. Pictures that would enter or leave it: {n}.",
        "Move pictures between train and val, or leave them out.",
    ),
    "class_unnamed": ("The name of the class is empty.", "Give it a name."),
    "features_too_large": (
        "The features of these pictures would take {needed_gb:.0f} GB; {limit_gb:.0f} GB is the most that is kept.",
        "Choose average pooling, or fewer altered copies.",
    ),
    "head_too_large": (
        "A head of {millions} million weights needs about {needed_gb:.1f} GB of memory to train; {limit_gb:.1f} GB is "
        "the most it may take, half of what this machine has.",
        "Choose average pooling, or fewer hidden units.",
    ),
    "refit_untrained": (
        "The features of {n} pictures are not computed yet with these settings.",
        "Start a training once; after that these sliders answer at once.",
    ),
    "refit_too_many": (
        "The features of {n} pictures are too much to be solved while you wait.",
        "Start a training to see the effect of a setting.",
    ),
    "refit_too_large": (
        "So large a head is not trained while you wait.",
        "The training that saves it says how good it is.",
    ),
    "no_val_part": (
        "There are no val pictures to measure on.",
        "Give the val part a share on the data page.",
    ),
    "more_too_few": (
        "{n} training pictures are too few to learn from parts of them.",
        "Add some pictures of each class, then ask again.",
    ),
    "precision_missing": (
        "This machine does not compute in {precision}.",
        "Choose float32, or install openvino where the processor has avx512_bf16 or amx_bf16.",
    ),
    "backbone_unknown": ("There is no backbone named {name}.", "Choose one of: {names}."),
    "weights_missing": (
        "The weights of {backbone} are not on this machine and could not be downloaded.",
        "Download {url} and put the file into {folder}, or use Starter, which works now.",
    ),
    "weights_damaged": (
        "The weights of {backbone} are damaged or incomplete.",
        "Delete the file and get it again from {url}, or use Starter, which works now.",
    ),
    "weights_foreign": (
        "{path} does not hold the weights of {backbone}.",
        "Take the file without the classifier (`notop`) that was published for it, or use Starter, which works now.",
    ),
    "weights_changed": (
        "The weights of {backbone} are not the ones that were used first.",
        "Delete {path} to get them again, or delete {note} beside it if you changed them on purpose.",
    ),
    "weights_unreadable": (
        "{name} could not be read: the process that looked at it was stopped.",
        "Take the file that was published for the backbone, or free some memory and try again.",
    ),
    "setting_unknown": ("There is no setting named {setting}.", "Remove it."),
    "setting_choice": ("{setting} is {value}; it must be one of {choices}.", "Choose one of them."),
    "setting_kind": ("{setting} is {value}; it must be {kind}.", "Enter {kind}."),
    "setting_bounds": ("{setting} is {value}; it must be from {low} to {high}.", "Choose a value in between."),
    "too_many_blocks": (
        "{n} blocks of {backbone} are to be fine-tuned; it has {limit}.",
        "Choose at most {limit}.",
    ),
    "fine_tune_rate": (
        "The rate of fine-tuning is {rate}; it must not be over the head's ({limit}).",
        "Lower it: large steps destroy what the backbone has learned.",
    ),
    "augment_kinds_none": (
        "{n} altered copies of each picture are asked for, but nothing in which they may differ.",
        "Choose crop, flip, light or turn, or no copies.",
    ),
    "fine_tune_gradual": (
        "Until all {n} blocks learn, {needed} epochs are needed; fine-tuning has {epochs}.",
        "Fine-tune for at least {needed} epochs, choose fewer blocks, or let one more block learn earlier.",
    ),
    "diverged": (
        "The training went astray in epoch {epoch}: its loss is no longer a number.",
        "Lower the learning rate and train again.",
    ),
    "search_blind": (
        "There are no val pictures, so settings cannot be compared.",
        "Add pictures or move some to val, then search again.",
    ),
    "model_differs": (
        "The saved model differs from the trained one by {difference} in its probabilities; the limit is {limit}.",
        "This is a fault of Headstart; the model was not published. Train again, or choose another backbone.",
    ),
    "disk_full": (
        "The disk is full, or the folder of Headstart cannot be written.",
        "Free some space and go on: finished work is kept.",
    ),
    "memory_full": ("The training needed more memory than there is.", "Use a smaller batch or a smaller backbone."),
    "worker_died": (
        "The worker process ended without a word (in: {stage}).",
        "Start it again: it goes on from the work that was finished.",
    ),
    "internal": (
        "Something went wrong that should not have (error {id}).",
        "Start it again. If it happens again, the log has the details.",
    ),
    "job_busy": (
        "Another job is at work on this run.",
        "Wait until it is done, or cancel it, then try again.",
    ),
    "job_cancelled": ("The job was cancelled.", "Start it again: it goes on from the work that was finished."),
    "usage": ("The command was not understood: {reason}.", "See `python -m core --help`."),
    "disk_trouble": ("A file could not be read or written: {reason}.", "Check the path and its permissions."),
    "nothing_to_learn": (
        "All pictures of '{label}' are kept back for val or test.",
        "Add pictures of '{label}' to learn from.",
    ),
    "job_missing": ("There is no job {id}.", "It may have been deleted."),
    "job_taken": ("Another worker has job {id}.", "Watch that one."),
    "run_missing": ("There is no run {id}.", "It may have been deleted."),
    "runfile_large": (
        "The run file has {kb} KB; the limit is {limit_kb} KB.",
        "Choose the run.yaml that Export gave.",
    ),
    "runfile_unreadable": ("The run file is no YAML that can be read (line {line}).", "Get it again from Export."),
    "runfile_foreign": ("This is not a run file of Headstart.", "Choose the run.yaml that Export gave."),
    "runfile_references": (
        "The run file uses references (*), which no run needs.",
        "Write the values out, or get it again from Export.",
    ),
    "runfile_newer": (
        "The run file is of format {found}; this Headstart knows up to {known}.",
        "Use a newer Headstart.",
    ),
    "runfile_unknown": ("The run file has a part named {part}; there are {parts}.", "Remove it."),
    "runfile_value": ("In the run file, {part} is {value}; it must be {kind}.", "Correct it, or get the file again."),
    "runfile_options": (
        "A run file sets everything, so {options} cannot be given beside it.",
        "Change it in the file, or leave the file out.",
    ),
    "run_unfinished": ("This run has no model yet.", "Wait until its training is done."),
    "run_busy": ("A job works on this run, or is paused.", "Cancel it first, or wait until it is done."),
    "address_unlabelled": ("{address} has no class.", "Write it behind a comma, or name one class for all."),
    "addresses_none": ("There is no address.", "Write one a line."),
    "folder_outside": ("{name} lies outside of the folders that may be read.", "Choose a folder inside."),
    "folder_missing": ("There is no folder or ZIP named {name}.", "Check its name."),
    "project_missing": ("This project does not exist any more.", "It was deleted; open another one."),
    "store_newer": (
        "The data in {home} was written by a newer Headstart (version {found}; this one knows {known}).",
        "Use the newer Headstart. Nothing was changed.",
    ),
    "known_missing": (
        "The limits of this model ask for known.npz, which is not in {path}.",
        "Put it there, or refuse no pictures by their distance.",
    ),
    "model_missing": (
        "There is no model of Headstart at {path}.",
        "Name a model.keras that lies beside its model.tflite, head.npz and model.json, or their folder.",
    ),
    "run_incomplete": (
        "Files of this model are missing in {path}.",
        "Train again by the same settings: what the backbone saw of the pictures is kept, so it is soon done.",
    ),
    "child_died": (
        "The process that reads pictures was stopped: a file needed too much time or memory, or crashed it.",
        "Leave that file out.",
    ),
    # Why one file is not used.
    "file_empty": ("The file has no bytes.", "Copy it again."),
    "file_not_picture": ("The file is not a picture.", "Leave it out."),
    "file_svg": ("SVG drawings are not read.", "Export it as PNG."),
    "file_heic": (
        "iPhone HEIC pictures are not read without an extra.",
        "Install it (`pip install pi-heif`) and add the file again, or export the picture as JPEG.",
    ),
    "file_archive": ("An archive inside the archive is not opened.", "Unpack it and add its pictures."),
    "file_link": ("The file is a link, not a picture.", "Add the picture itself."),
    "file_too_large": ("The file is over the limit for one file.", "Make the picture smaller."),
    "file_compression": ("The file is packed in a way that is not read.", "Pack the ZIP again, the normal way."),
    "file_damaged_member": ("The file is damaged inside the archive.", "Pack it again."),
    "file_unreadable": ("The file could not be read from the disk.", "Check that it is there and may be read."),
    "file_unusable_path": ("The name of the file leads outside of its folder.", "Pack the ZIP again."),
    "file_no_class": ("The file is in no class folder.", "Move it into the folder of its class."),
    "file_addresses_off": (
        "Pictures are not fetched by their addresses unless the owner of this server allows it.",
        "Start Headstart with HEADSTART_ADDRESSES=1, or bring the files themselves.",
    ),
    "file_address_kind": ("Only https addresses of the usual port are fetched.", "Bring the file itself."),
    "file_address_private": ("The address leads into a private network.", "Bring the file itself."),
    "file_unreachable": ("The address could not be reached in time.", "Try again later, or bring the file itself."),
    "file_refused": ("The other server refused to give the file (status {status}).", "Check the address."),
    "file_manifest": ("The table that says which file is of which class.", "Nothing to do."),
    "file_missing": ("{table} names this file, and it did not come with it.", "Add the file."),
    "file_several_classes": ("{table} gives the picture several classes: {labels}.", "Leave one of them."),
    "file_system": ("A file of the operating system.", "Nothing to do."),
    "picture_cut_off": ("The picture is cut off: its end is missing.", "Copy it again."),
    "picture_damaged": ("The picture is damaged or incomplete.", "Replace it."),
    "picture_too_costly": ("The picture could not be read safely: it took too much time or memory.", "Leave it out."),
    "picture_too_large": ("The picture has {megapixels} megapixels; the limit is {limit}.", "Make it smaller."),
    "picture_too_long": ("The picture is {side} px long; the limit is {limit}.", "Make it smaller."),
    "picture_too_small": ("The picture is {width}x{height} px; at least {limit} a side are needed.", "Leave it out."),
    "picture_too_thin": ("The picture is {width}x{height} px: over {limit} times longer than wide.", "Crop it."),
    "duplicate": ("The same picture as {twin}.", "Nothing to do: it is used once."),
    "left_out": ("The same picture as {twin}, which was left out.", "Take that one back in to use it."),
    "label_other": (
        "The picture is here already, in '{twin_label}' ({twin}).",
        "If '{label}' is right, move it there in the gallery.",
    ),
    "label_conflict": (
        "The same picture is in '{label}' and in '{twin_label}' ({twin}).",
        "Decide on top of this page to which class it belongs; until then neither is used.",
    ),
}

# A reason in a few words, for counts: "3 cut off".
REASONS: Mapping[str, str] = {
    # A whole ZIP of several.
    "data_empty": "archive without files",
    "not_a_zip": "not a ZIP",
    "zip_truncated": "archive ends too early",
    "zip_damaged": "archive damaged",
    "zip_encrypted": "archive with a password",
    "zip_overlap": "archive made to fill a disk",
    "zip_ratio": "archive packed too tightly",
    "zip_too_large": "archive too large",
    "too_many_files": "archive with too many files",
    "too_many_classes": "archive with too many classes",
    # One file.
    "file_empty": "empty",
    "file_not_picture": "not a picture",
    "file_svg": "SVG drawing",
    "file_heic": "HEIC",
    "file_archive": "archive",
    "file_link": "link",
    "file_too_large": "file too large",
    "file_compression": "unknown packing",
    "file_damaged_member": "damaged in the archive",
    "file_unreadable": "unreadable on the disk",
    "file_unusable_path": "unusable path",
    "file_no_class": "no class folder",
    "file_addresses_off": "addresses are not fetched",
    "file_address_kind": "no https address",
    "file_address_private": "private address",
    "file_unreachable": "unreachable address",
    "file_refused": "refused by the other server",
    "file_manifest": "table of classes",
    "file_missing": "named but not there",
    "file_several_classes": "several classes",
    "file_system": "system file",
    "picture_cut_off": "cut off",
    "picture_damaged": "damaged",
    "picture_too_costly": "could not be read safely",
    "picture_too_large": "too many megapixels",
    "picture_too_long": "too long",
    "picture_too_small": "too small",
    "picture_too_thin": "too thin",
    "duplicate": "duplicate",
    "left_out": "left out before",
    "label_conflict": "in two classes",
    "label_other": "here in another class",
}

NOTES: Mapping[str, str] = {
    # What came of the files that were added last.
    "came_all": "New pictures in what was added last: {n}.",
    "came_some": "New pictures in what was added last: {n}, from {of} files. Not used: {reasons}.",
    "came_again": "What was added last brought nothing new: {n} of {n} files were here already.",
    "came_unusable": "What was added last brought nothing new: 0 of {n} files can be used ({reasons}).",
    # What the curves say.
    "gap": (
        "In the last epoch, {train:.0%} of the train and {val:.0%} of the val pictures are right: {points} "
        "points apart."
    ),
    "gap_none": "In the last epoch, {train:.0%} of the train and {val:.0%} of the val pictures are right: no gap.",
    "gap_large": (
        "In the last epoch, {train:.0%} of the train and {val:.0%} of the val pictures are right: a gap of {points} "
        "points, more than chance. Part of what the model knows holds for the train pictures alone (over-fitting)."
    ),
    "rising_head": (
        "Val loss has been above its lowest for {n} epochs, and has risen; the best model is from epoch {best}."
    ),
    "rising_head_tuned": (
        "In the training of the head, val loss has been above its lowest (epoch {best}) for {n} epochs, and has risen."
    ),
    "rising_fine_tune": (
        "In fine-tuning, val loss has been above its lowest (its epoch {best}) for {n} epochs, and has risen."
    ),
    "stopped_head": (
        "The head stopped by itself after epoch {n} of {total}: {patience} epochs in a row brought no lower val loss."
    ),
    "stopped_fine_tune": "Fine-tuning stopped by itself after epoch {n} of {total}: the last epochs were no better.",
    # What to try when it memorizes.
    "try_average": "Average pooling in place of flatten: the head then has far fewer weights to memorize with.",
    "try_fewer": "Fewer hidden units than {n}, or none.",
    "try_layers": "Fewer hidden layers than {n}.",
    "try_regularization": "More regularization than {now:g}.",
    "try_augment": "Altered copies of the train pictures (under Augmentation); there are none yet.",
    "try_dropout": "Dropout; there is none yet.",
    "try_blocks": "Fewer blocks than {n} in fine-tuning.",
    "try_rate": "A lower rate of fine-tuning than {rate:g}.",
    "try_pictures": "More pictures: it learns from {n} now.",
    "tuned_better": (
        "Fine-tuning was kept: {after} of {n} val pictures right instead of {before} (epoch {best} of fine-tuning)."
    ),
    "frozen_better": (
        "Fine-tuning did not help: {before} of {n} val pictures right before and {after} at best after, so the frozen "
        "model was kept."
    ),
    "tuned_kept": (
        "Fine-tuning was kept: val accuracy, with the classes counted as in training, went from {before:.1%} to "
        "{after:.1%}."
    ),
    "frozen_kept": (
        "Fine-tuning did not help: val accuracy, with the classes counted as in training, was {before:.1%} before and "
        "{after:.1%} at best after, so the frozen model was kept."
    ),
    "no_val": "There are no val pictures: the last epoch was kept, and over-fitting cannot be seen.",
    "no_test": "There are no test pictures: how good the model is on new pictures was not measured.",
    "first_frame": "The file holds several pictures; the first one is used.",
    "depth_reduced": "The picture has more than 8 bits for a color; it was reduced to 8.",
    "profile_ignored": "The color profile is damaged or does not fit; the colors were read as sRGB.",
    "exif_ignored": "The entries of the camera (EXIF) are damaged and were ignored; the picture may lie on its side.",
    "boundary_computed": (
        "Fine-tuning would keep {needed_gb:.1f} GB on the disk and there is room for {room_gb:.1f} GB, so every epoch "
        "looks at each picture again: slower, with the same result."
    ),
    "balance_effect": (
        "The rarest class, '{label}': {with_balance} of {n} val pictures right instead of {without} without balance; "
        "all classes together {all_with:.0%} instead of {all_without:.0%} (linear head)."
    ),
    "mirror_swaps": (
        "{n} of {of} mirrored val pictures of '{label}' are taken for '{other}': mirrored copies would teach the wrong "
        "thing."
    ),
    "mirror_harmless": (
        "Mirrored val pictures keep their class ({mirrored} of {n} right, {as_is} as they are), so flips may be used."
    ),
    "runfile_differs": (
        "Repeated from a run file. The pictures, labels or parts differ from those of the file, so the scores may too."
    ),
    "mlflow_missing": "The run could not be logged to MLflow: mlflow is not installed (`pip install mlflow-skinny`).",
    "mlflow_failed": "The run could not be logged to MLflow ({reason}).",
    "runfile_weights": (
        "Repeated from a run file. The weights of the backbone differ from those of the file, so the scores may too."
    ),
    "frozen_score": "With the backbone frozen: {correct} of {n} val pictures right.",
}

STAGES: Mapping[str, str] = {
    "": "Starting",
    "draw": "Drawing the sample",
    "intake": "Reading pictures",
    "measure": "Measuring light and sharpness",
    "twins": "Comparing pictures that look alike",
    "doubts": "Comparing labels with what pictures look like",
    "download": "Downloading weights (MB)",
    "check": "Checking the weights",
    "effects": "Measuring what balance and flips do",
    "convert": "Preparing the backbone",
    "features": "Looking at each picture",
    "untrained": "Looking with random weights",
    "compare": "Comparing with and without pretraining",
    "more": "Learning from parts of the pictures",
    "search": "Trying settings of the head",
    "map_pca": "Laying the pictures out",
    "map_tsne": "Drawing alike pictures together",
    "head": "Training the head",
    "load": "Loading the backbone",
    "boundary": "Preparing fine-tuning",
    "fine_tune": "Fine-tuning",
    "evaluate": "Measuring",
    "save": "Saving and checking the model",
}


def error(code: str, values: Mapping[str, Any]) -> tuple[str, str]:
    """Message and hint of an error."""
    message, hint = ERRORS[code]
    if "stage" in values:
        values = {**values, "stage": STAGES.get(values["stage"], values["stage"])}
    return _spaced(message.format(**values)), _spaced(hint.format(**values))


def note(code: str, values: Mapping[str, Any]) -> str:
    """The sentence of a note."""
    return _spaced(NOTES[code].format(**values))


def _spaced(text: str) -> str:
    """With 93 % in place of 93%, on one line."""
    return re.sub(r"(?<=\d) ?%", "\u00a0%", text)
