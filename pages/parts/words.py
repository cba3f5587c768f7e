"""All text of the pages, by key, so that a second language is a translation of this file.

`say` fills a text with values. Text that a user typed or uploaded goes through `plain` first.
"""

import re
from typing import Any

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^&=])")

WORDS = {
    # frame
    "app": "Headstart",
    "projects": "Projects",
    "data": "Data",
    "train": "Train",
    "results": "Results",
    "demo": "Demo",
    "export": "Export",
    "present": "Present",
    "help": (
        "**How it works.** A network trained on a large data set sees edges, textures and shapes in any picture. "
        "Headstart keeps it *frozen* (its weights are not changed) and trains a small *head* on what it sees. Then, if "
        "you like, the last blocks of the network go on learning, slowly (*fine-tuning*)."
    ),
    "privacy": "Everything stays on this machine.",
    "all_projects": "All projects",
    "project_none": "No project is open",
    "project_none_more": "Open one, or make a new one, under *Projects*.",
    "fault_title": "Something went wrong that should not have",
    "fault": "Error {id}. Nothing of your data is lost. Reload the page; the log has the details.",
    # projects
    "hero": "Teach a network to tell your pictures apart",
    "hero_more": "No code, no cloud, no GPU. Bring pictures in folders, train in seconds, show the result to anyone.",
    "hero_upload": "**Bring pictures.** One folder for each class, or a ZIP.",
    "hero_train": "**Train.** A pretrained network does the seeing; your classes are learned on top.",
    "hero_show": "**Show.** Try new pictures, present a demo, take the model away.",
    "try_sample": "Try the sample",
    "try_sample_help": "Draws 300 pictures of five traffic signs, some of them faulty on purpose.",
    "new_project": "New project",
    "project_name": "Name of the project",
    "project_name_hint": "Leaves of my garden",
    "create": "Create project",
    "sample_name": "Traffic signs",
    "card_counts": "{n} pictures, {classes} classes",
    "card_empty": "No pictures yet",
    "card_score": "Right on **{score}** of {n} test pictures",
    "card_untrained": "Not trained yet",
    "open": "Open",
    "delete": "Delete",
    "delete_title": "Delete this project?",
    "delete_text": "**{name}** will be gone: its labels and its trained models ({runs}). A running training stops.",
    "delete_yes": "Delete project",
    "cancel": "Cancel",
    # data
    "data_empty": "Add the pictures you want to learn from",
    "data_empty_more": (
        "Two classes or more, one folder each; ten pictures a class are a start, fifty are good. Files that cannot be "
        "used are named, the others are kept."
    ),
    "drop": "Drop a ZIP, a folder or pictures here",
    "drop_more": "animals/cat/1.jpg, animals/dog/1.jpg - the folder is the class. Up to 20 GB.",
    "choose_files": "Choose files",
    "choose_folder": "Choose a folder",
    "uploading": "Uploading",
    "upload_failed": "The connection was lost. Trying again.",
    "upload_gave_up": "The server cannot be reached.",
    "upload_foreign": "Something between this page and the server answered in its place. Reload the page.",
    "upload_stopped": "The upload stopped at {sent} of {n} files.",
    "upload_stopped_class": "The upload to class {label} stopped at {sent} of {n} files.",
    "upload_again": "Choose the same files again to go on.",
    "upload_next": "{n} more to follow",
    "drop_nothing": "There is no file in what was dropped.",
    "drop_unreadable": "What was dropped cannot be read ({why}). Use the buttons instead, or drop a ZIP of it.",
    "dismiss": "Dismiss",
    "left": "left",
    "more_ways": "More ways",
    "way": "Way",
    "way_camera": "Camera",
    "way_addresses": "Addresses",
    "way_folder": "Folder of the server",
    "camera_on": "Turn the camera on",
    "camera_hold": "Hold to take pictures",
    "camera_taken": "pictures taken.",
    "camera_sending": "Sending.",
    "camera_refused": "There is no camera, or the browser does not let this page use it.",
    "camera_no_class": "Name the class above first.",
    "addresses": "Addresses of pictures, one a line",
    "addresses_hint": "https://example.org/cat.jpg, cat",
    "addresses_go": "Fetch the pictures",
    "folder_root": "Folder",
    "folder_name": "Folder or ZIP in {root}; nothing for all of it",
    "folder_go": "Take the folder in",
    "merged": "**{label}** came in several spellings, which are one class: {names}.",
    "nested": (
        "There are folders inside folders. The outermost ones became the classes; for {n} pictures the innermost "
        "folder would be another class."
    ),
    "nested_inner": "Use the innermost folders",
    "nested_keep": "It is right as it is",
    "more_folders": "and {n} more folders",
    "take_out": "Download the pictures",
    "take_out_help": (
        "A ZIP with folders by part and class and a table (manifest.csv). Dropped into any project, it comes back in "
        "unchanged: classes, parts and groups included."
    ),
    "add_pictures": "Add pictures",
    "all_left_out": "All {n} pictures are left out",
    "all_left_out_more": "Switch on *Left out* below to take them back in, or add others.",
    "select_all": "Select all shown",
    "select_none": "Select none",
    "loose_class": "Class of pictures that are in no folder",
    "loose_class_hint": "for example: cat",
    "loose_help": "For single pictures, the camera, and addresses without a class. A new name makes a new class.",
    "not_used": "{n} of {total} files are not used",
    "all_used": "All {n} files are used",
    "file": "File",
    "reason": "Why",
    "todo": "What to do",
    "classes": "Classes",
    "pictures": "Pictures",
    "class": "Class",
    "any_class": "All classes",
    "part": "Part",
    "any_part": "All parts",
    "left_out": "Left out",
    "left_out_n": "{n} left out by you",
    "more_classes": "and {n} more classes, in the gallery below",
    "selected": "{n} selected",
    "select_hint": "Click pictures to select them.",
    "select_every": "Select all {n} of this choice",
    "select_keys": (
        "Shift selects a range, double click enlarges. Keys: arrows, space selects, Enter enlarges, Delete leaves out, "
        "Ctrl+A selects all shown, Z takes the last change back."
    ),
    "select_keys_why": "W asks why.",
    "enlarge": "Enlarge",
    "mark": "Select",
    "unmark": "Do not select",
    "back": "Previous picture",
    "on": "Next picture",
    "move_to": "Class, also a new one",
    "move": "Move to class",
    "move_part": "Move to part",
    "group_of": "group {name}",
    "finding": "Finding",
    "any_finding": "Any or none",
    "undecided": (
        "**{n} pictures came in more than one class.** None of them is used until you move it to the class that is "
        "right; *Take back in* keeps the class that came first."
    ),
    "undecided_or": " or ",
    "untaught": "**Nothing to learn from:** {classes}. All pictures are in val or test; move some to train.",
    "finding_score": "From this score on",
    "finding_score_help": "It is reported from {least} on. Less shows more pictures, about which less is certain.",
    "finding_help": "Pictures that something was found about, those that give most reason to look first.",
    "kind_conflict": "In two classes",
    "kind_leak": "In two parts",
    "kind_near": "Near duplicates",
    "kind_wrong": "Wrong class?",
    "kind_stranger": "Like no class",
    "kind_dark": "Dark",
    "kind_bright": "Bright",
    "kind_blurry": "Blurry",
    "kind_flat": "One color",
    "kind_tiny": "Tiny",
    "kind_odd": "Long",
    "groups_manifest": "Your manifest ties {n} pictures to {groups} groups.",
    "groups_audit": "{n} near duplicates form {groups} groups.",
    "groups_whole": "Each stands in one part, so that no test picture was seen in training.",
    "groups_span": "{n} of them stand in several parts, as they came or were moved.",
    "new_seed": "Divide anew",
    "new_seed_help": "Deals the pictures to the parts by another seed, until a model is measured on them.",
    "seed": "Seed {seed}",
    "versions": "Versions ({n} trained on)",
    "versions_more": "Each training keeps which pictures, classes and parts it has seen.",
    "version_before": "From",
    "version_after": "To",
    "version_now": "Now",
    "version_same": "Nothing has changed: the same {n} pictures, classes and parts.",
    "version_changes": "What has changed",
    "version_added": "Added",
    "version_removed": "Removed",
    "version_relabelled": "Other class",
    "version_moved": "Other part",
    "version_more": "and {n} more",
    "restore": "Restore the earlier version",
    "restore_help": "Pictures, classes and parts as they were; what came since is left out. Can be undone.",
    "restored": "The earlier version is restored.",
    "restored_but": "The earlier version is restored; {n} pictures stay where they are, as the test part is locked.",
    "undo": "Undo: {what}",
    "change_relabel": "{n} to class {label}",
    "change_exclude": "{n} left out",
    "change_take_back": "{n} taken back in",
    "change_move": "{n} to {part}",
    "change_restore": "earlier version",
    "leave_out": "Leave out",
    "take_back": "Take back in",
    "split": "Training, checking, testing",
    "split_help": (
        "*Train* pictures are learned from. *Val* pictures choose the best moment of the training. *Test* pictures are "
        "kept back until the end: the score on them is what new pictures will get."
    ),
    "split_test": "Test pictures",
    "split_val": "Val pictures",
    "split_locked": "Locked: the test part came with your folders, or a model was measured on it.",
    "next_train": "Train a model",
    "few": "Fewer than {least} pictures: {classes}. With so few, what a model learns is a first impression.",
    "uneven": (
        "**{most}** has {times} times as many pictures as **{least}**. Training can make up for it: *Balance* under "
        "*All settings*."
    ),
    "one_class": "There is one class. A model needs at least two to tell apart.",
    # findings
    "audit_running": "Looking for faults in the pictures",
    "audit_failed": "Looking for faults stopped",
    "audit_nothing": "Looked for copies, wrong labels, dark, blurry and odd pictures: nothing to report.",
    "audit_never": "Nobody has looked for copies, wrong labels and bad pictures yet.",
    "audit_changed": "The pictures have changed since they were looked at.",
    "audit_look": "Look for faults",
    "audit_again": "Look again",
    "findings_more": "{n} more findings",
    "found_conflict": (
        "**{n} pictures** show the same in two classes or more ({groups} groups). Only you know which is right."
    ),
    "found_conflict_one": "**{n} pictures** show the same, in two classes. Only you know which is right.",
    "found_leak": (
        "**{n} pictures** are in two parts at once ({groups} groups of near duplicates): scores on them are too good."
    ),
    "found_leak_one": "**{n} pictures** show the same in two parts: scores on them are too good.",
    "found_near": "**{n} pictures** are near duplicates ({groups} groups). They stay in one part together.",
    "found_near_one": "**{n} pictures** show the same. They stay in one part together.",
    "found_wrong": "**{n} pictures** may be in the wrong class: a model that never saw them is sure of another.",
    "found_wrong_one": "**1 picture** may be in the wrong class: a model that never saw it is sure of another.",
    "found_stranger": "**{n} pictures** do not look like any class.",
    "found_stranger_one": "**1 picture** does not look like any class.",
    "found_dark": "**{n} pictures** are very dark.",
    "found_dark_one": "**1 picture** is very dark.",
    "found_bright": "**{n} pictures** are very bright.",
    "found_bright_one": "**1 picture** is very bright.",
    "found_blurry": "**{n} pictures** are blurry.",
    "found_blurry_one": "**1 picture** is blurry.",
    "found_flat": "**{n} pictures** show next to nothing: hardly more than one color.",
    "found_flat_one": "**1 picture** shows next to nothing: hardly more than one color.",
    "found_tiny": "**{n} pictures** are tiny: less than 40 px on one side.",
    "found_tiny_one": "**1 picture** is tiny: less than 40 px on one side.",
    "found_odd": "**{n} pictures** are three times as long as wide or more: the model sees the middle square only.",
    "found_odd_one": "**1 picture** is three times as long as wide or more: the model sees the middle square only.",
    "found_shortcut_border": (
        "The color at the **edge** alone tells the class of {right} of {n} pictures (by chance: {chance}). "
        "A model may learn the background instead of what is shown. Bring pictures of each class before other grounds."
    ),
    "found_shortcut_size": (
        "The **size in pixels** alone tells the class of {right} of {n} pictures (by chance: {chance}). The classes "
        "may come from different sources, and a model may learn the source. Mix the sources in each class."
    ),
    "found_shortcut_bytes": (
        "The **file size** alone tells the class of {right} of {n} pictures (by chance: {chance}). The classes may "
        "come from different sources, and a model may learn the source. Mix the sources in each class."
    ),
    "keep_one": "Keep one of each",
    "finding_open_one": "Show them",
    "finding_open_out": "Show them",
    "finding_open_look": "Look through them",
    "finding_open_accept": "Look through them",
    "finding_close": "Close",
    "finding_first": "The first {shown} of {n}; the others follow when these are dealt with.",
    "leave_out_n": "Leave out {n} selected",
    "accept": "Accept the suggested class for {n} selected",
    "accept_help": "Each goes to the class on the right of its arrow.",
    "change_relabel_each": "{n} to their suggested class",
    "confirm": "They are right as they are",
    "confirm_help": "They are not doubted again until their class changes.",
    "change_confirm": "{n} called right",
    # train
    "train_locked": "Add pictures of at least two classes first",
    "train_locked_more": "Then a model can learn to tell them apart.",
    "dial": "How much effort",
    "fast": "Fast",
    "balanced": "Balanced",
    "best": "Best",
    "dial_help": "Sets everything below. Open *All settings* to change single things.",
    "plan_frozen": "{backbone}, frozen; a {head} is trained on its features. About {time}.",
    "plan_tuned": "{backbone}; a {head}, then fine-tuning of {blocks} ({n} of {all} blocks). About {time}.",
    "blocks_few": "{top} and {lowest}",
    "blocks_many": "{top} down to {lowest}",
    "head_linear": "linear head",
    "head_hidden": "head with {n} neurons",
    "head_deep": "head with {layers} layers of {n} neurons",
    "backbone": "Backbone",
    "backbone_help": "The pretrained network that looks at your pictures.",
    "card_size": "{mb} MB, {ms} ms a picture",
    "card_top1": ", {top1} % on ImageNet",
    "all_backbones": "All {n} backbones",
    "backbone_pick": "Select a row to use a backbone or to get its weights.",
    "backbone_card": "It has a card above.",
    "here": "Here",
    "top1": "ImageNet %",
    "top1_help": "Top-1 accuracy on ImageNet as published; a better one there is often, not always, better on yours.",
    "ms_core": "ms",
    "ms_core_help": "Milliseconds that one core needs for one picture, measured on an AMD EPYC.",
    "side": "Side, px",
    "side_help": "The side of the square a picture is brought to.",
    "license": "License",
    "weights_file": "Weights from a file",
    "weights_help": (
        "For machines without a network: the file from {url}, or weights saved by Keras from the same network without "
        "its classifier (`.weights.h5` or `.h5`). It is checked before it is used."
    ),
    "weights_use": "Check and use this file",
    "download": "Get it ({mb} MB)",
    "use": "Use",
    "used": "In use",
    "all_settings": "All settings",
    "group_head": "Head",
    "group_learning": "Learning",
    "group_tune": "Fine-tuning",
    "fine_tune_blocks": "Blocks that learn, from the top",
    "tune_what": "What learns",
    "fine_tune_batch_norm": "BatchNormalization",
    "fine_tune_gradual": "Epochs for each further block",
    "tune_pace": "How large its steps are",
    "fine_tune_rate": "Rate",
    "tune_rate_share": "{times} times the head's.",
    "fine_tune_decay": "Share for each lower block",
    "fine_tune_schedule": "Schedule",
    "fine_tune_warmup": "Warm-up epochs",
    "tune_end": "How long",
    "fine_tune_epochs": "Epochs at most",
    "fine_tune_patience": "Patience",
    "group_augment": "Augmentation",
    "group_advanced": "Advanced",
    "preset": "Kind of head",
    "preset_help": (
        "*Linear*: no hidden layer, for few pictures. *MLP*: a hidden layer of 256 neurons with dropout. *Textbook*: "
        "all of the feature map (flatten) into 1,024 neurons, without regularization or altered copies, as in most "
        "textbooks; it memorizes easily."
    ),
    "preset_linear": "Linear",
    "preset_mlp": "MLP",
    "preset_textbook": "Textbook",
    "kind_crop": "Crop",
    "kind_flip": "Flip",
    "kind_light": "Light",
    "kind_turn": "Turn",
    "preview": "As the training will see them: each picture, then its altered copies ({n}).",
    "preview_some": "As the training will see them: each picture, then the first {shown} of its {n} altered copies.",
    "preview_none": "No altered copies: move *Augment* to see some of yours.",
    "flip_off": "Flips are off: the classes may not be the same in a mirror.",
    "flip_risk": "A mirror may change what {classes} shows. A training measures it; until then *Flip* is better off.",
    "flip_swaps": (
        "{n} of {of} mirrored pictures of **{label}** are taken for **{other}**. Turn *Flip* off: it would teach the "
        "wrong thing."
    ),
    "uneven_balanced": (
        "**{label}** has {times} times fewer pictures than the largest class: its pictures count more. Turn *Balance* "
        "to 0 to undo."
    ),
    "uneven_unbalanced": (
        "**{label}** has {times} times fewer pictures than the largest class, and *Balance* is 0: the model will lean "
        "away from it."
    ),
    "instant_note": ":material/bolt: answers at once, in *What if* on this page; the other settings need a training.",
    "refit": "What if",
    "refit_help": (
        "The linear head with these settings, solved exactly on the features that are here already. Move "
        "*Regularization*, *Label smoothing* or *Balance* in *All settings* and see what it does, measured "
        "on the val pictures."
    ),
    "refit_linear_score": (
        "A linear head on the frozen backbone would be right on {correct} of {n} val pictures: **{score}**, likely "
        "between {low} and {high}."
    ),
    "refit_score": "Right on {correct} of {n} val pictures: **{score}**, likely between {low} and {high}.",
    "refit_facts": (
        "Regularization {regularization:g}, label smoothing {label_smoothing:g}, balance {balance:g}: "
        "val loss {loss:.3f}."
    ),
    "refit_linear": "Hidden units and fine-tuning need a training.",
    "refit_untrained": "After the first training this shows at once what other settings of the head would change.",
    "refit_waits": "The running work comes first; then the sliders with a bolt answer here at once.",
    "fit": "Does it fit?",
    "fit_lead": (
        "Does what **{backbone}** learned elsewhere help with your pictures? Its features are compared with those of "
        "the same network with random weights, and with raw pixels."
    ),
    "fit_ask": "Does {backbone} fit?",
    "fit_clear": "**{backbone} clearly helps.**",
    "fit_little": "**{backbone} helps little.**",
    "fit_none": "**{backbone} does not help with these pictures.**",
    "fit_unclear": "**Too few pictures to say whether {backbone} helps.**",
    "fit_numbers": (
        "{score} of {n} pictures are right with what it learned, {other} with {rival}: a difference of {gain} points, "
        "likely between {low} and {high}."
    ),
    "fit_advice_clear": "What it learned carries over to your pictures. Go on with it.",
    "fit_advice_little": (
        "Try *Compare backbones*, or fine-tune two or three blocks (*All settings*, *Fine-tuning*), so that it learns "
        "what is special about your pictures."
    ),
    "fit_advice_none": (
        "Your pictures differ from those it learned from. Try another backbone; fine-tune more blocks (*All settings*, "
        "*Fine-tuning*); or bring more pictures of each class."
    ),
    "fit_advice_easy": (
        "These classes differ in color or brightness alone, so there is hardly anything left to learn. Any backbone "
        "will do: take the smallest."
    ),
    "fit_advice_unclear": "Bring more pictures of each class, then ask again.",
    "fit_axis": "Right, of all pictures looked at",
    "fit_chart": "Share of pictures that are right with each set of features",
    "set_pretrained": "{backbone}",
    "set_random": "Random weights",
    "set_pixels": "Raw pixels",
    "set_random_in": "the same network with random weights",
    "set_pixels_in": "raw pixels",
    "numbers": "All numbers",
    "fit_set": "Features",
    "fit_linear": "Linear head",
    "fit_near": "{k} neighbors",
    "fit_near_help": "Each picture is called what its nearest others are, by the cosine of their features.",
    "fit_logme": "LogME",
    "fit_logme_help": (
        "How probable the classes are as a linear function of the features: higher is better (You et al., ICML 2021, "
        "arXiv 2102.11005)."
    ),
    "fit_chance": "p",
    "fit_chance_help": (
        "How likely it is that chance alone sets the backbone apart so much (McNemar's exact test on the pictures that "
        "only one of the two has right)."
    ),
    "fit_how": (
        "{n} pictures of {classes} classes from train and val, never from test. Each is judged by a linear head that "
        "was fitted without it ({folds} parts in turn). Intervals hold in 95 of 100 cases."
    ),
    "more": "More pictures?",
    "more_lead": (
        "Will more pictures help? Linear heads on **{backbone}** learn from a tenth, a fifth and so on of your "
        "pictures; where that curve leads says what twice as many would bring."
    ),
    "more_ask": "Will more pictures help?",
    "more_hardly": (
        "**More pictures of the same kind will hardly help.** With twice as many expect about {gain} {unit} more "
        "({low} to {high}). Another backbone, fine-tuning or clearer labels may bring more."
    ),
    "more_helps": "**With twice as many pictures expect about {gain} {unit} more** ({low} to {high}).",
    "more_rough": (
        "**With twice as many pictures expect perhaps {gain} {unit} more** ({low} to {high}). That is little more "
        "than a guess: it is measured on {n} val pictures."
    ),
    "more_x": "Training pictures",
    "more_y": "Val pictures right",
    "more_expected": "expected",
    "more_chart": "Share of val pictures that are right, by the number of training pictures",
    "more_how": (
        "Linear heads on {backbone}, frozen, scored on {n} val pictures; small shares were drawn several times. "
        "Vertical lines: where the share lies in 95 of 100 cases."
    ),
    "answer_again": "Measure again",
    "answer_running": "This is being measured; the line at the top of the page says how far it is.",
    "answer_stale": "The pictures have changed since this was measured.",
    "answer_time": "Takes about {time}. Test pictures are not looked at.",
    "point_one": "point",
    "point_many": "points",
    "job_fit": "measurement of how a backbone fits",
    "job_more": "measurement of the learning curve",
    "fit_failed": "Measuring the fit stopped",
    "fit_died": "Measuring the fit was interrupted",
    "fit_cancelled": "Measuring the fit was cancelled",
    "fit_paused": "Measuring the fit is paused",
    "more_failed": "Measuring the curve stopped",
    "more_died": "Measuring the curve was interrupted",
    "more_cancelled": "Measuring the curve was cancelled",
    "more_paused": "Measuring the curve is paused",
    "choose": "Let Headstart choose",
    "choose_help": (
        "The backbone stays frozen in both. Val pictures decide; test pictures are never looked at for it. What is "
        "trained appears in *Results* like any other run."
    ),
    "compare_which": "Backbones to compare",
    "compare": "Compare backbones",
    "compare_one": "Only one backbone is on this machine. Get another one above to compare.",
    "compare_few": "Choose at least two.",
    "search": "Find the best head settings",
    "choose_times": "Comparing takes about {compare}; {tries} head settings on {backbone} about {search}.",
    "choose_time": "Trying {tries} head settings on {backbone} takes about {search}.",
    "compare_at": "**{backbone}** ({n} of {total})",
    "leaderboard": "Backbones compared",
    "leaderboard_help": "The same head on each backbone, the best first.",
    "val_right": "Val",
    "val_right_help": "The share of val pictures that were right, and where it lies in 95 of 100 cases (Wilson).",
    "between": "{score} ({low}\u2011{high})",
    "ms": "ms each",
    "ms_help": "Milliseconds from a picture's file to its features, as measured on this machine.",
    "megabytes": "MB",
    "megabytes_help": "Size of the weights.",
    "extraction": "Extraction",
    "extraction_help": (
        "Looking at each picture (and altered copy) once. Cached: that was done before, and took no time now."
    ),
    "extracted": "{time} for {n}",
    "cached": "cached",
    "compare_clear": "**{best}** is better than {second} by more than chance.",
    "compare_close": (
        "**{best}** is ahead, but {second} is within the noise: with so few val pictures either may be the better one."
    ),
    "compare_tied": "**{best}** and {second} are equally good on the val pictures.",
    "use_best": "Use {backbone}",
    "tries": "Head settings tried: the best five",
    "tries_help": (
        "The best five. All had a short training, the best of them a full one. The best of many looks a little better "
        "than it is; the score on test pictures is the honest one."
    ),
    "neurons": "Hidden units",
    "none": "none",
    "dropout": "Dropout",
    "regularization": "Regularization",
    "rate": "Learning rate",
    "search_same": "On {backbone}, the settings you had are the best of {tries}: **{best}** of the val pictures right.",
    "search_only": (
        "On {backbone}, the best of {tries} settings has **{best}** of the val pictures right; those you had could not "
        "be trained."
    ),
    "search_clear": (
        "On {backbone}, the best has **{best}** of the val pictures right, the settings you had {mine}: better by more "
        "than chance."
    ),
    "search_close": (
        "On {backbone}, the best has **{best}** of the val pictures right, the settings you had {mine}. That is within "
        "the noise: they may be as good."
    ),
    "search_run": "The best was trained as a run: right on {score} of {n} test pictures. It is in *Results*.",
    "search_run_no_test": "The best was trained as a run. It is in *Results*.",
    "use_settings": "Use the best settings",
    "start": "Start training",
    "train_again": "Train again",
    "enqueue": "Add to queue",
    "enqueue_help": "Something is being computed. This is started when it is done, also when no page is open.",
    "time_s": "{n}\u00a0s",
    "time_min": "{n}\u00a0min",
    "live_empty": "The training will be shown here",
    "live_empty_more": "Curves, time left and what the numbers mean.",
    "step_left": "{time} left in this step",
    "time_left": "{time} left",
    "left_few": "a few seconds",
    "left_about": "about {time}",
    "per_second": "{n} pictures per second",
    "epoch_of": "epoch {n} of {total}",
    "train_failed": "The training stopped",
    "train_died": "The training was interrupted",
    "train_cancelled": "The training was cancelled",
    "compare_failed": "The comparison stopped",
    "compare_died": "The comparison was interrupted",
    "compare_cancelled": "The comparison was cancelled",
    "search_failed": "The search stopped",
    "search_died": "The search was interrupted",
    "search_cancelled": "The search was cancelled",
    "download_failed": "The download stopped",
    "download_died": "The download was interrupted",
    "download_cancelled": "The download was cancelled",
    "weights_failed": "The weights are not used",
    "weights_died": "Checking the weights was interrupted",
    "weights_cancelled": "Checking the weights was cancelled",
    "intake_failed": "Reading the pictures stopped",
    "intake_died": "Reading the pictures was interrupted",
    "intake_cancelled": "Reading the pictures was cancelled",
    "train_paused": "The training is paused",
    "compare_paused": "The comparison is paused",
    "search_paused": "The search is paused",
    "pause": "Pause",
    "pause_help": "Stops the work until you resume it, and lets what waits go first. What is finished is kept.",
    "pausing": "Pausing",
    "bell": "Tell me when it is done",
    "bell_denied": "The browser does not allow notifications here; the title of the tab will tell.",
    "bell_succeeded": "Done: {job}",
    "bell_failed": "Stopped: {job}",
    "tab_succeeded": "Done",
    "tab_failed": "Stopped",
    "job_intake": "reading of the pictures",
    "job_audit": "look for faults in the pictures",
    "job_map": "map of the pictures",
    "job_weights": "check of weights",
    "job_download": "download of weights",
    "line_first": "Starting in a moment",
    "line_1": "Next in line, after the {after}",
    "line_2": "Second in line, after the {after}",
    "line_3": "Third in line, after the {after}",
    "line_n": "Number {n} in line, after the {after}",
    "line_of": "{job} in **{project}**",
    "line": "Queue",
    "line_help": "One thing is computed at a time. The others follow in this order, also when no page is open.",
    "line_running": "running",
    "line_paused": "paused",
    "job_train": "training of {backbone}",
    "job_tune": "training and fine-tuning of {backbone}",
    "job_compare": "comparison of backbones",
    "job_search": "search for head settings",
    "job_other": "computation",
    "resume": "Go on",
    "resume_help": "Continues from the work that was finished.",
    "cancelling": "Stopping",
    "curve_accuracy": "Accuracy",
    "curve_loss": "Loss",
    "curve_train": "train",
    "curve_val": "val",
    "curve_epoch": "Epoch",
    "curve_tune": "fine-tuning",
    "curve_best": "kept",
    "try_next": "To try next",
    "curve_help": "Val rises with train: it learns. Val loss rises while train loss falls: it memorizes.",
    "done_score": "Done. Right on {correct} of {n} test pictures ({score}, {backbone}).",
    "done_no_test": "Done ({backbone}). There were no pictures to test it on.",
    "see_results": "See results",
    "repeat": "Repeat a run from its file",
    "repeat_file": "A run.yaml from Export",
    "repeat_help": "Fills in every setting, and divides the pictures as they were then if these are the same ones.",
    "repeat_same": "The settings, the pictures and the parts are those of the file: this repeats its run.",
    "repeat_runfile_differs": (
        "The settings are those of the file, but the pictures, labels or parts differ. This will be a run of its own."
    ),
    "repeat_runfile_weights": (
        "The settings are those of the file, but the weights of the backbone on this machine are others."
    ),
    "already": "This training is finished already: same pictures, same settings.",
    "already_queued": "This training is at work or waits already: same pictures, same settings.",
    "close": "Close",
    # results
    "results_empty": "No model yet",
    "results_empty_more": "Train one, and its scores and mistakes are shown here.",
    "go_train": "Go to training",
    "headline": "Right on {correct} of {n} pictures it had never seen: {score}, likely between {low} and {high}.",
    "headline_none": "No pictures were kept back for a test.",
    "headline_val": "Right on {correct} of {n} val pictures, which steered the training: on new ones it may be less.",
    "headline_help": (
        "Test pictures were used for nothing else. On other pictures of the same kind the share of right answers lies "
        "in that range in 95 of 100 cases (Wilson interval)."
    ),
    "tuned_from": "Before fine-tuning: {score}.",
    "tuned_for_nothing": "Fine-tuning did not help: the model with the frozen backbone was kept.",
    "stale": "The pictures have changed since this model was trained. Train again to take that into account.",
    "run": "Run",
    "run_name": "{backbone}, {head}{tuned}, {score}",
    "run_tuned": ", fine-tuned",
    "star": "Star",
    "starred": "Starred",
    "star_help": "A star marks a run and puts it before others.",
    "threshold_tab": "Threshold",
    "threshold_lead": "A less probable answer counts as *not sure enough*: the picture may be none of the classes.",
    "threshold": "An answer needs at least",
    "threshold_help": "Kept with the model: *Demo*, the command line and the exported script ask for it too.",
    "threshold_own": "Classes that need another one",
    "threshold_answered": "Get an answer",
    "threshold_right": "Right of those",
    "threshold_found": "Right of all",
    "threshold_wrong": "Wrong answers",
    "threshold_how": "Choose by val: what test says is only then true of new pictures when nothing was chosen by it.",
    "unknown": "None of these",
    "unknown_lead": (
        "A model gives everything the name of a class, and can be sure of it. How far a picture is from all that it "
        "has learned from says more."
    ),
    "unknown_old": "Train once more to choose this: this model was trained before distances were kept.",
    "unknown_no_val": "It needs pictures in val to be chosen by.",
    "unknown_refuse": "Refuse about so many pictures of the classes",
    "unknown_named": "With a name: {names}.",
    "unknown_error": "What goes wrong",
    "unknown_n": "Pictures",
    "unknown_share": "Share",
    "unknown_own": "Test pictures of the classes that are refused",
    "unknown_new": "Pictures of a class it does not know that are near enough for a name",
    "unknown_others": "Your pictures of none of the classes that still get a name",
    "unknown_tells": (
        "The second line is measured by leaving out each class in turn. A picture of a class that was left out is "
        "farther than one of a class that was not in {share} of all pairs (half would be chance)."
    ),
    "unknown_weak": "Your classes are much alike to this network, so a new class is hard to tell from them.",
    "unknown_many": "{n} pictures were tried; the other {more} were left away.",
    "unknown_try": "Try pictures that are none of the classes",
    "unknown_forget": "Forget these pictures",
    "demo_unknown": "None of these",
    "demo_unknown_more": (
        "It is less like what the model has learned from than most pictures of its classes. Nearest: {label}."
    ),
    "demo_none": "Not sure enough",
    "demo_none_more": "Maybe none of the classes. Most like {label}: {p}, where {least} is asked.",
    "limits_for": (
        "How probable an answer must be to count, and how near; use_model.py reads it beside model.keras and known.npz."
    ),
    "known_for": "What a picture is compared with to tell that it is none of the classes, for use_model.py.",
    "confidence": "Confidence",
    "score": "Score",
    "value": "Value",
    "likely": "Likely between (95\u00a0%)",
    "meaning": "What it says",
    "scores_n": "All on the {n} test pictures, which the model has never seen.",
    "accuracy": "Accuracy",
    "accuracy_help": "The share of pictures that are right.",
    "balanced_accuracy": "Balanced accuracy",
    "balanced_accuracy_help": "The mean share that is right of each class: a small one counts as much as a large one.",
    "macro_f1": "Macro F1",
    "macro_f1_help": "The mean F1 of the classes, each counted once.",
    "weighted_f1": "Weighted F1",
    "weighted_f1_help": "The mean F1 of the classes, each counted by its pictures.",
    "top_3": "Top 3",
    "top_3_help": "The share of pictures whose class is among the three most probable.",
    "top_5": "Top 5",
    "top_5_help": "The share of pictures whose class is among the five most probable.",
    "log_loss": "Log loss",
    "log_loss_help": "How much the true classes surprise the model; 0 is best. It punishes to be sure and wrong.",
    "calibrated": (
        "Where the model says 80\u00a0%, about 80\u00a0% should be right. On {n} test pictures probabilities are off "
        "by {after} on average (likely {low} to {high}); without the temperature of {temperature} it would be {before}."
    ),
    "calibrated_alike": (
        "Where the model says 80\u00a0%, about 80\u00a0% should be right. On {n} test pictures probabilities are off "
        "by {after} on average (likely {low} to {high}). Without val pictures there is nothing to mend that by."
    ),
    "calibrated_not": (
        "Where the model says 80\u00a0%, about 80\u00a0% should be right. On {n} test pictures probabilities are off "
        "by {after} on average (likely {low} to {high}). This run is from before temperatures were fitted: train again "
        "for honest probabilities."
    ),
    "calibrated_help": (
        "The expected calibration error. The temperature is one number, found on the val pictures, that all scores are "
        "divided by before they become probabilities (Guo et al., 2017): above 1 the model was too sure. It changes no "
        "answer, and *Demo* and *Export* have it too."
    ),
    "reliability": "Accuracy by confidence",
    "reliability_x": "Probability of the answer",
    "reliability_y": "Right",
    "reliability_before": "without temperature",
    "reliability_after": "as it is",
    "curves_none": "There are no test pictures of **{label}**, or of nothing else.",
    "pr": "Average precision {value}",
    "pr_help": (
        "Of all pictures of this class, how many are found (recall); of those named so, how many are it (precision), "
        "for every threshold. A good curve stays at the top."
    ),
    "pr_chart": "Precision by recall",
    "compare_pr": "**Precision and recall** on test, for every threshold",
    "compare_loss": "**Val loss** while training",
    "compare_loss_help": (
        "How wrong and how sure of it the model was on val pictures, epoch by epoch. Where a curve rises again, the "
        "model has begun to memorize its training pictures."
    ),
    "loss_chart": "Val loss by epoch",
    "val_loss": "Val loss",
    "roc": "Area under the ROC curve {value} (likely {low} to {high})",
    "curves_n": "Of the {n} pictures of {label} among {of} test pictures.",
    "roc_help": (
        "How probable it is that a picture of this class gets a higher probability for it than one of another class: "
        "0.5 is chance, 1 is perfect."
    ),
    "roc_chart": "Recall by false alarms",
    "false_alarms": "Others taken for it",
    "remedies": "What would help most?",
    "remedies_help": (
        "Each line says behind how many of these mistakes it stands, which is the most that it can mend. One mistake "
        "can count for several."
    ),
    "remedies_part": "Counted on {n} {part} pictures; mistakes: {wrong}.",
    "remedies_more": "{n} more that would help",
    "remedy_labels": "**{pictures}** may be in the wrong class. Among them: {mistakes} of {wrong} mistakes.",
    "remedy_labels_none": "**{pictures}** may be in the wrong class: not among the mistakes, but misleading.",
    "one_picture": "1 picture",
    "some_pictures": "{n} pictures",
    "remedy_pair": "**{first}** and **{second}** are taken for each other: {mistakes} of {wrong} mistakes.",
    "remedy_short": (
        "**{label}** has {n} training pictures, where {usual} are usual here: {mistakes} of {wrong} mistakes are its."
    ),
    "remedy_features": (
        "Even of the pictures it learned from the model has only {right} right: about {mistakes} of {wrong} mistakes "
        "may be of that kind, which more pictures do not mend, but perhaps more than {backbone} sees as it is."
    ),
    "remedy_far": "It was also measured that these pictures are unlike those it was pretrained on.",
    "remedy_pictures": (
        "Twice the pictures are expected to bring {gain} points ({low} to {high}), about {mistakes} of {wrong} "
        "mistakes."
    ),
    "remedy_pictures_rough": (
        "Twice the pictures may bring {gain} points, about {mistakes} of {wrong} mistakes: little more than a guess "
        "({low} to {high})."
    ),
    "remedy_pictures_gap": (
        "The model is right {gain} points more often on pictures it learned from: more pictures could mend at most "
        "{mistakes} of {wrong} mistakes."
    ),
    "remedy_show": "Show them",
    "remedy_tune": "Fine-tune a block",
    "remedy_backbone": "Choose another backbone",
    "remedy_measure": "Measure how many",
    "remedy_measuring": "Being measured",
    "promote": "Promote",
    "promoted": "Promoted",
    "promote_help": (
        "The promoted run is the one that *Demo*, *Present* and *Export* begin with, whatever you train next."
    ),
    "promote_title": "Promote this run?",
    "promote_text": "*Demo*, *Present* and *Export* will begin with **{name}** ({score}) instead of **{other}**.",
    "promotions": "Promoted so far",
    "describe": "Name and note",
    "run_note": "Note",
    "run_label": "Name",
    "note_hint": "What you tried, and why.",
    "delete_run_title": "Delete this run?",
    "delete_run_text": (
        "**{name}** will be gone: its model, its scores and its files. Pictures, labels and the other runs stay, and "
        "so does the choice of test pictures."
    ),
    "delete_run_promoted": "This run is promoted. *Demo*, *Present* and *Export* will begin with {next}.",
    "delete_run_yes": "Delete run",
    "compare_tab": "Compare",
    "compare_runs": "Runs to compare",
    "compare_runs_help": "The first is compared with each of the others, on the same test pictures.",
    "compare_few_runs": "Choose at least two runs.",
    "test_right": "Test",
    "pictures_of": "{train} train, {val} val, {test} test",
    "yes": "yes",
    "no": "no",
    "compare_unfair": (
        "**{first}** and **{second}** were tested on different pictures or labels, so their scores cannot be compared. "
        "Train one of them again on the pictures as they are now."
    ),
    "compare_untested": (
        "**{first}** and **{second}** cannot be compared, as one of them or both were trained without test pictures. "
        "Keep a share of the pictures for testing (on *Data*), and train them again."
    ),
    "paired_same": "**{better}** and **{worse}** are right on the same pictures, and wrong on the same.",
    "paired_clear": (
        "**{better}** is better than **{worse}** by more than chance: of {n} test pictures, {more} are right only with "
        "it, {fewer} only with the other (p {sign} {p})."
    ),
    "paired_close": (
        "Between **{better}** and **{worse}** the difference is no more than chance: of {n} test pictures, {more} are "
        "right only with the first, {fewer} only with the second (p {sign} {p})."
    ),
    "paired_help": (
        "Only pictures that one has right and the other wrong tell two models apart (McNemar's exact test, 1947). p is "
        "how often models that are equally good would differ at least as much; below 0.05 is called more than chance."
    ),
    "paired_help_many": (
        "Only pictures that one has right and the other wrong tell two models apart (McNemar's exact test, 1947). p is "
        "how often models that are equally good would differ at least as much; below 0.05 it is called more than "
        "chance. The more runs are compared, the larger p is made (Holm, 1979), as one of many differs by luck."
    ),
    "disagree_with": "Pictures on which {name} disagrees with",
    "only_right": "Right only with **{name}**: {n}",
    "taken_for": "{truth}, taken for {predicted}",
    "matrix": "What was taken for what",
    "matrix_help": "Rows: what a picture shows. Columns: what the model said. Click a cell to see its pictures.",
    "mistakes": "Mistakes, the most certain first",
    "no_mistakes": "No mistakes on the {part} pictures",
    "cell": "**{truth}** taken for **{predicted}**: {n}",
    "cell_right": "**{truth}**, recognized: {n}",
    "show_mistakes": "Show all mistakes",
    "matrix_numbers": "Numbers",
    "matrix_count": "Counts",
    "matrix_row": "% of row",
    "matrix_column": "% of column",
    "matrix_all": "All {n} classes, not only those that are confused",
    "pairs_more": "and {n} more pairs",
    "pair": "{n} of the {of} pictures of **{truth}** were taken for **{predicted}**.",
    "matrix_now": (
        "Against the labels as they are now. The sentence on top and the tabs below are as measured when it was "
        "trained."
    ),
    "test_left_out": (
        "{n} test pictures that were measured before are left out of this. If they went because a model had them "
        "wrong, this score is too good."
    ),
    "mistakes_filter": "Filter",
    "least_sure": "The model was at least this sure",
    "model_says": "model: {what}",
    "look_tab": "Where it looks",
    "look": "Look at {n} pictures",
    "looking": "Looked at {done} of {n} pictures.",
    "look_none": "There are no test or val pictures to look at.",
    "look_alt": "Where the model looks for {label}",
    "look_help": (
        "On average over pictures that it did not learn from: what speaks for each class, in orange over the mean "
        "picture. Things move about, so a broad patch near the middle is what to expect. A small strong patch at the "
        "border or in a corner is a mark, a date or a background that is in the same place in all pictures: the model "
        "may use that in place of the thing."
    ),
    "look_odd": (
        "In {n} of {of} classes it looks much at the border. Look there in the pictures: what is in the same place in "
        "all of them may be a shortcut, and the score then holds only for pictures that have it too."
    ),
    "look_facts": "{border} in the border. Strongest {where}: {times:.1f} times an even spread. {n} pictures.",
    "look_limits": (
        "Border: the outer eighth on each side, {area} of the area. The average of heat maps as under *Why*: it shows "
        "where, not why, and a shortcut that is somewhere else in each picture, or all over it, does not show here."
    ),
    "place_00": "at the top left",
    "place_01": "at the top",
    "place_02": "at the top right",
    "place_10": "on the left",
    "place_11": "in the middle",
    "place_12": "on the right",
    "place_20": "at the bottom left",
    "place_21": "at the bottom",
    "place_22": "at the bottom right",
    "why": "Why",
    "why_title": "Why it thinks so",
    "why_right": "The model says **{label}** ({p}), and so does the label.",
    "why_wrong": "The model says **{label}** ({p}). The picture is in the class **{truth}**.",
    "why_for": "What speaks for",
    "why_seen": "What the model sees: the middle square.",
    "why_hot": (
        "What speaks for {label}: the stronger the orange, the more. Inside the line it is at least half as strong as "
        "at the strongest place."
    ),
    "why_nothing": "Nothing in the picture speaks for {label}.",
    "why_limits": (
        "This shows where, not why: not whether it is color, shape or texture, and nothing of what speaks against. It "
        "is as coarse as {rows} \u00d7 {columns} places. A place that looks right does not prove a right reason. "
        "(Grad-CAM; Selvaraju et al., 2017.)"
    ),
    "why_near": "It looks most like these, which it learned from",
    "why_near_same": "{n} of {of} are {label}, as the model says.",
    "why_near_help": (
        "Up to 1,000 pictures that it learned from are remembered, and 10 of each class at least. The number is how "
        "alike they are to the model (cosine of features; 1 is the same)."
    ),
    "why_near_missing": "This model was trained before that was kept.",
    "why_mend": "What to do with this picture",
    "why_part": "Move to part",
    "mended": "Since this model was trained: {what}.",
    "mended_relabelled": "{n} relabelled",
    "mended_left_out": "{n} left out",
    "mended_added": "{n} added",
    "mended_moved": "{n} in another part",
    "retrain": "Retrain",
    "retrain_help": (
        "Trains by the same settings on the pictures as they are now. The new score comes at once from what the "
        "backbone already saw; the model is saved as a run of its own."
    ),
    "retrained_test": (
        "**{before} \u2192 {after}** on the {n} test pictures ({was} \u2192 {right} right), both models against the "
        "labels as they are now. Measured when the first was trained: {measured}."
    ),
    "retrained_val": (
        "Val: {before} \u2192 {after} of {n} ({was} \u2192 {right} right); {measured} when it was trained."
    ),
    "retrained_limits": "The threshold goes with it; what is *none of these* is to be chosen anew.",
    "retrained_gained": "From wrong to right: **{n}**",
    "retrained_lost": "From right to wrong: **{n}**",
    "retrained_same": "Both models are right on the same pictures.",
    "retrain_quick": "A quick look without fine-tuning: the training that has begun goes on to it.",
    "retrain_saving": "The model is being trained and saved.",
    "retrain_saved": "The new model is saved.",
    "retrain_show": "Show the new model",
    "retrain_stopped": "The training that saves the model has stopped. Go on with it.",
    "map": "Map",
    "map_lead": (
        "Each point is a picture. Near each other lies what looks alike to the backbone; directions and the distance "
        "between islands mean nothing. Look at points of another color within an island: their labels may be wrong."
    ),
    "map_frozen": "It is drawn as the backbone saw them before fine-tuning.",
    "map_hint": "Draw a line around pictures to see them here.",
    "map_how": (
        "A click takes those around a point, Shift adds to the choice. The wheel or two fingers zoom. Pictures of "
        "classes that are rare in the region come first."
    ),
    "map_chosen": "Chosen on the map: **{n}**, those of rare classes among them first",
    "map_unasked": "learned from, so the model was not asked",
    "map_make": "Make the map",
    "map_again": "Go on with the second layout",
    "map_meanwhile": "The map can be used meanwhile.",
    "map_colors": "Color by",
    "map_class": "Class",
    "map_part": "Part",
    "map_outcome": "Right or wrong",
    "map_confidence": "Confidence",
    "map_layouts": "Layout",
    "map_pca": "Overview",
    "map_pca_title": "PCA: the two directions in which the pictures differ most.",
    "map_tsne": "Neighborhoods",
    "map_tsne_title": "t-SNE: pictures that are alike are drawn together.",
    "map_tools": "What dragging does",
    "map_lasso": "Choose",
    "map_move": "Move",
    "map_closer": "Closer",
    "map_farther": "Farther",
    "map_whole": "Whole map",
    "map_view": "Choose all in view",
    "map_none": "Choose none",
    "map_keys": (
        "Map of pictures. Keys: arrows move, + and - zoom, 0 shows all, Enter chooses all in view, Escape none."
    ),
    "map_legend": "What the colors mean",
    "map_says": "Model: {what}, {sure} %",
    "map_right": "right ({n})",
    "map_wrong": "wrong ({n})",
    "map_learned": "learned from ({n})",
    "map_scale": "less to more sure",
    "per_class": "Per class",
    "curves": "Training",
    "runs": "Runs",
    "precision": "Precision",
    "precision_help": "Of the pictures the model called so, the share that was.",
    "recall": "Recall",
    "recall_help": "Of the pictures that are so, the share the model found.",
    "f1": "F1",
    "f1_help": "One number for both: their harmonic mean.",
    "test_pictures": "Test pictures",
    "when": "When",
    "test_score": "Test",
    "val_score": "Val",
    "actual": "Shows",
    "predicted": "Model says",
    # demo
    "demo_empty": "Nothing to show yet",
    "demo_empty_more": "Train a model, and anyone can try it here.",
    "demo_upload": "Try a picture",
    "demo_camera": "Use the camera",
    "demo_examples": "Or one of these, which the model never learned from:",
    "demo_sure": "{p} sure",
    "demo_unsure": "Not sure: {p} at most",
    "demo_why": "Show where it looks",
    "demo_time": "Answered in {ms} ms on this machine.",
    "try_another": "Try another picture.",
    "demo_from": "Shows: {label}",
    "present_open": "Present",
    "present_help": "Full width, without menus, for showing to others. The address can be bookmarked.",
    "present_leave": "Leave",
    # export
    "export_empty": "No model to take away yet",
    "export_empty_more": "Train one first.",
    "export_lead": "Take the model with you. The model was checked against the measured answers first.",
    "size": "Size",
    "agreement": "Agreement",
    "agrees": "Same answers as measured",
    "agrees_help": "Probabilities differ by {difference} at most, on up to 64 pictures asked again from the file.",
    "exact": "Part of it",
    "download_file": "Download",
    "keras_for": "Keras 3 in Python: predict, or go on training. Scaling and class names are inside.",
    "tflite_for": "LiteRT on phones, boards and servers: pixels in, features out; goes with head.npz.",
    "head_for": "The trained layers as plain numpy arrays, for model.tflite.",
    "json_for": "Class names and picture size, for model.tflite.",
    "script_for": "A Python script that answers for picture files, with model.keras beside it.",
    "export_model": "The model",
    "export_run": "The run",
    "export_run_help": "To repeat the training, or to see how it went.",
    "run_file_for": "Settings, seeds, versions and scores: repeats the run in Headstart, here or elsewhere.",
    "train_for": (
        "A plain Keras script that trains the model again from your folder of pictures, without Headstart. With the "
        "list of pictures in each part."
    ),
    "train_unlike": "It does not follow: {names}. Its score may differ.",
    "train_close": "Repeats the score",
    "train_close_help": "To half a point or one picture; the script was tested so, not with this very run.",
    "logs_for": "Curves and settings for TensorBoard: unpack, then `tensorboard --logdir logs`.",
    "logs_missing": "Runs of an older Headstart have none. Train again to get them.",
    "script_title": "Use it in Python",
    "script_more": "Needs `pip install keras tensorflow-cpu pillow`, and nothing of Headstart.",
    "mb": "{n:.1f} MB",
    "kb": "{n:.0f} KB",
}


def say(key: str, **values: Any) -> str:
    """The text of a key, filled."""
    return WORDS[key].format(**values) if values else WORDS[key]


def plain(text: str) -> str:
    """Text of a user, so that Markdown shows it as it is."""
    return _MARKUP.sub(r"\\\1", text)


def brief(name: str, most: int = 30) -> str:
    """A name for one line: a long one by its beginning and its end, which is where names differ."""
    return name if len(name) <= most else f"{name[: most - 12]}\u2026{name[-11:]}"


def percent(share: float | None) -> str:
    """0.934 -> 93 %."""
    return "-" if share is None else f"{share * 100:.0f}\u00a0%"


def between(share: float, low: float, high: float) -> str:
    """A share with its interval."""
    return say("between", score=percent(share), low=round(low * 100), high=round(high * 100))


def points(share: float) -> str:
    """0.034 -> 3, and 0.004 -> 0.4: percentage points, with a minus sign where it is one."""
    n = share * 100
    text = f"{abs(n):.0f}" if abs(n) >= 0.95 else f"{abs(n):.1f}".removesuffix(".0")
    return f"\u2212{text}" if n < 0 and text != "0" else text


def duration(seconds: float) -> str:
    """A time to wait, in one unit."""
    if seconds < 90:
        return say("time_s", n=max(1, round(seconds)))
    return say("time_min", n=round(seconds / 60))


def left(seconds: float) -> str:
    """A time that is left, rounded so that it does not change every second."""
    if seconds < 8:
        return say("left_few")
    if seconds < 55:
        return say("left_about", time=say("time_s", n=-(-round(seconds) // 10) * 10))
    return say("left_about", time=say("time_min", n=round(seconds / 60) or 1))


def size(n_bytes: int) -> str:
    """Bytes as people say them."""
    return say("mb", n=n_bytes / 1e6) if n_bytes >= 1e6 else say("kb", n=max(1, n_bytes / 1e3))
